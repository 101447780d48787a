import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageFile

from tests.support.mura import STUDIES, Listed, make_dataset
from tests.support.studies import picture
from triage.core.studytype import StudyType
from triage.errors import DatasetUnusable, UsageError
from triage.research.mura import read_dataset
from triage.research.problems import Fault


@pytest.fixture
def root(tmp_path):
    """A sound data set, its folder called otherwise than in its lists."""
    return make_dataset(tmp_path / "here")


def _edit(root, name, change):
    """Write a list again, its lines changed."""
    path = root / name
    path.write_bytes(change(path.read_text("utf-8")).encode())


def _faults(root, **options):
    return [(problem.fault, problem.where) for problem in read_dataset(root, **options).problems]


def test_studies_come_in_the_lists_order_with_their_images_below_the_folder_given(root):
    dataset = read_dataset(root, decode=True)

    assert [split.name for split in dataset.splits] == ["train", "valid"]
    train = dataset.split("train")
    assert [study.key for study in train.studies] == [
        "XR_HAND/patient00001/study1_negative",
        "XR_HAND/patient00002/study1_positive",
        "XR_WRIST/patient00003/study1_positive",
        "XR_WRIST/patient00004/study1_negative",
    ]
    third = train.studies[2]
    assert (third.study_type, third.abnormal, third.patient) == ("wrist", True, "patient00003")
    folder = root / "train/XR_WRIST/patient00003/study1_positive"
    assert third.images == (folder / "image1.png", folder / "image2.png")
    assert len(train.images) == 5
    assert dataset.problems == ()


def test_a_data_set_without_folders_of_its_splits_is_read(tmp_path):
    """As FracAtlas-other is laid out."""
    make_dataset(tmp_path, [Listed(patient=1, split="other")])
    shutil.move(tmp_path / "other/XR_HAND", tmp_path / "XR_HAND")
    for name in ("other_image_paths.csv", "other_labeled_studies.csv"):
        _edit(tmp_path, name, lambda text: text.replace("/other/", "/"))

    assert read_dataset(tmp_path).split("other").images[0].is_file()


def test_a_split_that_is_not_there_is_refused_with_those_that_are(root):
    with pytest.raises(UsageError, match="no split 'test'; it has train, valid"):
        read_dataset(root).split("test")


def test_windows_line_ends_a_byte_order_mark_and_blank_lines_change_nothing(root):
    expected = read_dataset(root)
    for path in root.glob("*.csv"):
        lines = path.read_text("utf-8").replace("\n", "\r\n\r\n")
        path.write_bytes(b"\xef\xbb\xbf\r\n" + lines.encode() + b"  \r\n")

    assert read_dataset(root) == expected


def test_macos_metadata_is_no_list_and_no_image(root):
    (root / "._train_image_paths.csv").write_bytes(b"\0\5\x16\7")
    folder = "train/XR_HAND/patient00001/study1_negative"
    (root / folder / "._image1.png").write_bytes(b"\0\5\x16\7")
    before = read_dataset(root).split("train").studies
    _edit(root, "train_image_paths.csv", lambda text: text + f"MURA-v1.1/{folder}/._image1.png\n")

    dataset = read_dataset(root, decode=True)

    assert dataset.split("train").studies == before
    assert [(p.fault, p.where, p.grave) for p in dataset.problems] == [
        (Fault.METADATA, "train_image_paths.csv:6", False)
    ]


FIRST = "MURA-v1.1/train/XR_HAND/patient00001/study1_negative"


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("labeled_studies", f"{FIRST}/,0", f"{FIRST}/,1", "label 1 contradicts study1_negative"),
        ("labeled_studies", f"{FIRST}/,0", f"{FIRST}/,2", "the label is '2'"),
        ("labeled_studies", f"{FIRST}/,0", f"{FIRST}/,", "the label is ''"),
        ("labeled_studies", f"{FIRST}/,0", f"{FIRST}/", "has 1 fields"),
        ("labeled_studies", f"{FIRST}/,0", "path,label", "does not end in XR_PART"),
        ("labeled_studies", f"{FIRST}/,0", f"/{FIRST}/,0", "leaves the data set's folder"),
        ("image_paths", f"{FIRST}/", f"MURA-v1.1/../../{FIRST}/", "leaves the data set's folder"),
        ("image_paths", f"{FIRST}/", f"/{FIRST}/", "leaves the data set's folder"),
        ("image_paths", f"{FIRST}/", FIRST.replace("/", "\\") + "\\", "leaves the data set's"),
        ("image_paths", "image1.png\n", "image1.dcm\n", "'image1.dcm' is no .png"),
        ("image_paths", "image1.png\n", "image1.png,0\n", "has 2 fields"),
        ("image_paths", f"{FIRST}/", "MURA-v1.1/XR_HAND/", "does not end in XR_PART"),
        ("image_paths", "patient00001", "patient1x", "does not end in XR_PART"),
        ("image_paths", "patient00001", "patient00009", "no list labels train/XR_HAND/patient00009"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_right_is_named_with_its_list(root, name, old, new, says):
    _edit(root, f"train_{name}.csv", lambda text: text.replace(old, new, 1))

    with pytest.raises(DatasetUnusable) as refused:
        read_dataset(root)

    assert f"\n  train_{name}.csv:1: " in str(refused.value)
    assert says in str(refused.value)


def test_a_labelled_study_without_a_listed_image_is_an_error(root):
    _edit(root, "valid_image_paths.csv", lambda text: text.split("\n", 1)[1])

    with pytest.raises(DatasetUnusable, match=r"valid_labeled_studies\.csv:1: .* has no image of"):
        read_dataset(root)


def test_a_list_that_is_no_text_is_an_error_of_its_lines(root):
    (root / "train_labeled_studies.csv").write_bytes(b"\xff\xfeM\0U\0R\0A\0\n\0")

    with pytest.raises(DatasetUnusable, match=r"train_labeled_studies\.csv:1: "):
        read_dataset(root)


def test_a_line_longer_than_any_path_is_an_error(root):
    (root / "train_image_paths.csv").write_bytes(b"a" * 200_000)

    with pytest.raises(DatasetUnusable, match=r"train_image_paths\.csv:1: is no line of a list"):
        read_dataset(root)


def test_every_error_is_counted_and_the_first_ones_are_named(tmp_path):
    make_dataset(tmp_path, [Listed(patient=number) for number in range(30)])
    _edit(tmp_path, "train_labeled_studies.csv", lambda text: text.replace(",0", ",1"))

    with pytest.raises(DatasetUnusable) as refused:
        read_dataset(tmp_path)

    assert str(refused.value).count("contradicts") == 20
    assert str(refused.value).endswith("\n  and 10 more")


@pytest.mark.parametrize("name", ["train_image_paths.csv", "train_labeled_studies.csv"])
def test_a_list_without_its_partner_is_an_error(root, name):
    (root / name).unlink()

    with pytest.raises(DatasetUnusable, match=f"{name}: cannot be read"):
        read_dataset(root)


def test_a_folder_without_lists_and_one_that_is_not_there_are_refused(tmp_path):
    with pytest.raises(DatasetUnusable, match="name the folder in which MURA's lists are"):
        read_dataset(tmp_path)
    with pytest.raises(DatasetUnusable, match="gone: cannot be read"):
        read_dataset(tmp_path / "gone")


def test_a_patient_in_two_splits_is_a_grave_problem(tmp_path):
    make_dataset(tmp_path, [*STUDIES, Listed(patient=1, split="valid", abnormal=True, number=2)])

    (problem,) = read_dataset(tmp_path).problems

    assert (problem.fault, problem.grave) == (Fault.LEAK, True)
    assert problem.where == "patient00001 in train, valid"


def test_a_picture_in_two_splits_is_found_by_its_bytes(tmp_path):
    same = (picture(99),)
    make_dataset(
        tmp_path, [Listed(patient=1, images=same), Listed(patient=2, split="valid", images=same)]
    )

    assert _faults(tmp_path) == []
    assert _faults(tmp_path, decode=True) == [
        (Fault.TWIN, "valid/XR_HAND/patient00002/study1_negative/image1.png")
    ]


def test_a_missing_image_is_left_out_and_so_is_a_study_without_any(root):
    (root / "train/XR_WRIST/patient00003/study1_positive/image1.png").unlink()
    (root / "valid/XR_HAND/patient00005/study1_negative/image1.png").unlink()

    dataset = read_dataset(root)

    assert [(p.fault, p.where) for p in dataset.problems] == [
        (Fault.MISSING, "train_image_paths.csv:3"),
        (Fault.MISSING, "valid_image_paths.csv:1"),
        (Fault.NO_IMAGES, "valid/XR_HAND/patient00005/study1_negative"),
    ]
    assert [len(study.images) for study in dataset.split("train").studies] == [1, 1, 1, 1]
    assert [study.patient for study in dataset.split("valid").studies] == ["patient00006"]


def test_a_study_in_two_folders_of_a_split_is_an_error_for_it_would_count_twice(root):
    def twice(text):
        return text + text.splitlines()[0].replace("/train/", "/more/") + "\n"

    for name in ("train_labeled_studies.csv", "train_image_paths.csv"):
        _edit(root, name, twice)

    with pytest.raises(
        DatasetUnusable, match=r"stands in train_labeled_studies\.csv:1 in another folder"
    ):
        read_dataset(root)


def test_lines_that_stand_twice_count_once(root):
    expected = read_dataset(root).splits
    for name in ("train_image_paths.csv", "train_labeled_studies.csv"):
        _edit(root, name, lambda text: text + text.split("\n", 1)[0] + "\n")

    dataset = read_dataset(root)

    assert dataset.splits == expected
    assert [(p.fault, p.where, p.message) for p in dataset.problems] == [
        (
            Fault.REPEATED,
            "train_labeled_studies.csv:5",
            "the study stands in train_labeled_studies.csv:1 already",
        ),
        (
            Fault.REPEATED,
            "train_image_paths.csv:6",
            "the image stands in train_image_paths.csv:1 already",
        ),
    ]


def test_studies_of_a_part_that_is_none_of_muras_are_left_out_and_counted(root):
    for name in ("train_image_paths.csv", "train_labeled_studies.csv"):
        _edit(root, name, lambda text: text.replace("XR_WRIST", "XR_KNEE"))

    dataset = read_dataset(root)

    (problem,) = dataset.problems
    assert (problem.fault, problem.where) == (Fault.UNKNOWN_PART, "train_labeled_studies.csv:3")
    assert problem.message.startswith("XR_KNEE is none of MURA's")
    assert problem.message.endswith("2 studies")
    assert {study.study_type for study in dataset.split("train").studies} == {StudyType.HAND}


def test_a_data_set_of_other_parts_alone_is_refused(tmp_path):
    make_dataset(tmp_path, [Listed(patient=1)])
    for path in tmp_path.glob("*.csv"):
        _edit(tmp_path, path.name, lambda text: text.replace("XR_HAND", "XR_HIP"))

    with pytest.raises(DatasetUnusable, match=r"no study that can be used:\n.* XR_HIP is none"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_an_image_whose_data_end_early_is_found_by_decoding(tmp_path, kind):
    make_dataset(tmp_path, kind=kind)
    image = tmp_path / f"train/XR_HAND/patient00002/study1_positive/image1.{kind}"
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])

    assert _faults(tmp_path) == []
    (problem,) = read_dataset(tmp_path, decode=True).problems
    assert (problem.fault, problem.grave) == (Fault.UNREADABLE, True)
    assert problem.where == str(image.relative_to(tmp_path))


def test_an_image_that_was_cut_off_and_saved_again_is_found_by_its_grey_end(tmp_path, monkeypatch):
    make_dataset(tmp_path, kind="jpg")
    image = tmp_path / "train/XR_HAND/patient00002/study1_positive/image1.jpg"
    grain = np.random.default_rng(0).integers(0, 256, (200, 200), dtype=np.uint8)
    Image.fromarray(grain).save(image, quality=88)
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    with monkeypatch.context() as lenient:
        lenient.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
        with Image.open(image) as half:
            half.load()
    half.save(image, quality=88)

    assert _faults(tmp_path, decode=True) == [(Fault.TRUNCATED, str(image.relative_to(tmp_path)))]


def test_progress_is_told_of_every_image(root):
    told = []

    read_dataset(root, decode=True, progress=lambda done, total: told.append((done, total)))

    assert told == [(done, 7) for done in range(1, 8)]


def test_reading_needs_no_torch():
    script = "import sys, triage.research.mura; print('torch' in sys.modules)"

    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert ran.stdout == "False\n"


@pytest.mark.fracatlas
def test_the_cut_off_images_of_fracatlas_are_found(fracatlas):
    """25 of the 59 that its makers speak of are in this part."""
    problems = read_dataset(fracatlas / "FracAtlas-MURA", decode=True).problems

    truncated = {p.where.split("/")[2] for p in problems if p.fault is Fault.TRUNCATED}
    assert len(truncated) == 25
    assert {"patient04129", "patient04119"} <= truncated  # grey rows; a part of the last one
    assert [p.where for p in problems if p.fault is Fault.TWIN] == [
        "valid/XR_HUMERUS/patient02808/study1_negative/image1.jpg"
    ]
