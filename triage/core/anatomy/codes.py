"""The codes of anatomic regions and of eponymous views.

Source: DICOM PS3.16 CID 4031 (common anatomic regions), the bones and joints of
the upper limb in CID 7304, 7482 and 8134, and CID 4012 (projection eponymous
names), each with its SNOMED CT identifier and the SNOMED RT identifier of
PS3.16 annex O that it had before 2019 ("-" where there was none). SNOMED CT
has codes for a part of one side, too; those of the upper limb are here.
"""

from triage.core.anatomy.records import Coded, Place, Region
from triage.core.studytype import StudyType

SNOMED_CT = frozenset({"SCT", "SNOMED-CT", "SNOMEDCT", "2.16.840.1.113883.6.96"})
SNOMED_RT = frozenset({"SRT", "SNM3", "99SDM"})  # PS3.16 8: the older designators

_REGIONS: dict[Place, str] = {
    StudyType.ELBOW: """
        16953009 T-15430 Elbow joint
        12881000 T-1242A Proximal radius
        34318004 T-1243A Proximal ulna
        368148009 - Left elbow
        368149001 - Right elbow
    """,
    StudyType.FINGER: """
        7569003 T-D8800 Finger
        76505004 T-D8810 Thumb
        125682004 T-15516 Finger joint
        83738005 - Index finger
        65531009 - Middle finger
        82002001 - Ring finger
        12406000 - Little finger
        734143007 - Left thumb
        734144001 - Right thumb
    """,
    StudyType.FOREARM: """
        14975008 T-D8500 Forearm
        62413002 T-12420 Radius
        47728000 T-12423 Shaft of radius
        23416004 T-12430 Ulna
        21133008 T-12435 Shaft of ulna
        110535000 T-12403 Radius and ulna
        66480008 - Left forearm
        64262003 - Right forearm
    """,
    StudyType.HAND: """
        85562004 T-D8700 Hand
        24097009 T-12600 Hand bone
        36455000 T-12540 Metacarpal
        85151006 - Left hand
        78791008 - Right hand
    """,
    StudyType.HUMERUS: """
        85050009 T-12410 Humerus
        40983000 T-D8200 Upper arm
        119524001 T-1240F Proximal humerus
        20760004 T-12412 Shaft of humerus
        118495001 T-1241F Distal humerus
        368208006 - Left upper arm
        368209003 - Right upper arm
    """,
    StudyType.SHOULDER: """
        16982005 T-D2220 Shoulder
        85856004 T-15420 Acromioclavicular joint
        51299004 T-12310 Clavicle
        79601000 T-12280 Scapula
        26444007 T-12200 Shoulder girdle
        31934006 T-12281 Acromion
        8931003 T-12282 Coracoid process
        46385009 T-1228A Glenoid cavity
        91775009 - Left shoulder
        91774008 - Right shoulder
    """,
    StudyType.WRIST: """
        74670003 T-15460 Wrist joint
        8205005 T-D8600 Wrist region
        30518006 T-12450 Scaphoid
        75129005 T-1242B Distal radius
        91238003 T-1243B Distal ulna
        5951000 - Left wrist
        9736006 - Right wrist
    """,
    Region.UNKNOWN: """
        371195002 T-D0821 Bone of upper limb
        38266002 T-D0010 Entire body
        66019005 T-D0300 Extremity
        30608006 T-13600 Muscle of upper limb
        53120007 T-D8000 Upper limb
        91470000 T-D8104 Axilla
    """,
    Region.OUTSIDE: """
        818981001 - Abdomen
        818982008 - Abdomen and Pelvis
        70258002 T-15750 Ankle joint
        53505006 T-59900 Anus
        86598002 T-280A0 Apex of Lung
        28273000 T-60610 Bile duct
        34707002 T-60600 Biliary tract
        89837001 T-74000 Bladder
        72001000 T-12700 Bone of lower limb
        76752008 T-04000 Breast
        955009 T-26000 Bronchus
        80144004 T-12770 Calcaneus
        122494005 T-11501 Cervical spine
        1217257000 - Cervico-thoracic spine
        816094009 - Chest
        416550000 R-FAB55 Chest and Abdomen
        416775004 R-FAB56 Chest, Abdomen and Pelvis
        64688005 T-11BF0 Coccyx
        71854001 T-59300 Colon
        79741001 T-64500 Common bile duct
        38848004 T-58200 Duodenum
        32849002 T-56000 Esophagus
        110861005 T-DD163 Esophagus, stomach and duodenum
        81745001 T-AA000 Eye
        371398005 T-D0801 Eye region
        91397008 T-11196 Facial bones
        71341001 T-12710 Femur
        87342007 T-12750 Fibula
        56459004 T-D9700 Foot
        28231008 T-63000 Gallbladder
        69536005 T-D1100 Head
        774007 T-D1000 Head and Neck
        80891009 T-32000 Heart
        29836001 T-D2500 Hip
        24136001 T-15710 Hip joint
        34516001 T-58600 Ileum
        22356005 T-12340 Ilium
        361078006 T-AB959 Internal Auditory Canal
        661005 T-D1213 Jaw region
        21306003 T-58400 Jejunum
        72696002 T-D9200 Knee
        14742008 T-59000 Large intestine
        4596009 T-24100 Larynx
        303270005 T-50007 Liver and biliary structure
        30021000 T-D9400 Lower leg
        61685007 T-D9000 Lower limb
        122496007 T-11503 Lumbar spine
        1217253001 - Lumbo-sacral spine
        91609006 T-11180 Mandible
        59066005 T-11133 Mastoid bone
        70925003 T-11170 Maxilla
        72410000 T-D3300 Mediastinum
        102292000 T-14668 Muscle of lower limb
        74386004 T-11149 Nasal bone
        45048000 T-D1600 Neck
        417437006 R-FAB52 Neck and Chest
        416152001 R-FAB53 Neck, Chest and Abdomen
        416319003 R-FAB54 Neck, Chest, Abdomen and Pelvis
        55024004 T-11102 Optic canal
        363654007 T-D14AE Orbital structure
        15776009 T-65000 Pancreas
        69930009 T-65010 Pancreatic duct
        110621006 T-65600 Pancreatic duct and bile duct systems
        2095001 T-22000 Paranasal sinus
        45289007 T-61100 Parotid gland
        64234005 T-12730 Patella
        816092008 - Pelvis
        1231522001 - Pelvis and lower extremities
        706342009 R-FE0C7 Phantom
        41216001 T-92000 Prostate
        34402009 T-59600 Rectum
        113197003 T-11300 Rib
        1217254007 - Sacro-coccygeal Spine
        39723000 T-15680 Sacroiliac joint
        54735007 T-11AD0 Sacrum
        42575006 T-D1460 Sella turcica
        58742003 T-12980 Sesamoid bones of foot
        89546000 T-11100 Skull
        30315005 T-58000 Small intestine
        421060004 T-D04FF Spine
        7844006 T-15610 Sternoclavicular joint
        56873002 T-11210 Sternum
        69695003 T-57000 Stomach
        54019009 T-61300 Submandibular gland
        27949001 T-15770 Tarsal joint
        53620006 T-15290 Temporomandibular joint
        68367000 T-D9100 Thigh
        122495006 T-11502 Thoracic spine
        1217256009 - Thoraco-lumbar spine
        29707007 T-D9800 Toe
        44567001 T-25000 Trachea
        431491007 T-7000B Upper urinary tract
        87953007 T-73000 Ureter
        13648007 T-75000 Urethra
        110639002 T-88920 Uterus and fallopian tubes
        110517009 T-11011 Vertebral column and cranium
        13881006 T-11166 Zygoma
        51185008 T-D3000 Chest, until 2020
        43799004 T-D3200 Thoracic cavity
        113345001 T-D4000 Abdomen, until 2020
        12921003 T-D6000 Pelvis, until 2020
        12611008 T-12740 Tibia
        110536004 T-12701 Tibia and fibula
        10200004 T-62000 Liver
        64033007 T-71000 Kidney
        39607008 T-28000 Lung
    """,
}
# Views that are taken of one part alone; those of several (Cleaves: shoulder and
# hip, Lilienfeld, Clements-Nakayama) say nothing.
_VIEWS: dict[Place, str] = {
    StudyType.SHOULDER: """
        399237007 R-10262 Alexander
        422670003 R-40A88 Apple
        399246001 R-10266 Blackett-Healy
        424962005 R-40A8C Fisk
        425188003 R-40A8E Garth
        399146005 R-10279 Grashey
        399156009 R-1028A Laquerriere-Pierquin
        399179005 R-1028D Lawrence
        422795009 R-40A93 Neer
        399365007 R-1029D Pearson
        423720000 R-40A94 Rafert
        422954003 R-40A98 Stryker
        399130002 R-102AF West Point
    """,
    StudyType.WRIST: """
        399082003 R-10277 Gaynor-Hart
        422534007 R-40A95 Rafert-Long
        399292003 R-102A4 Stecher
    """,
    StudyType.HAND: """
        260492003 R-40809 Brewerton
        399157000 R-1029A Norgaard
    """,
    StudyType.FINGER: """
        422861003 R-40A89 Burman
        425157002 R-40A8D Folio
        425035007 R-40A96 Robert
    """,
    Region.OUTSIDE: """
        399218003 R-10263 Arcelin
        399263002 R-10264 Beclere
        399344001 R-10267 Broden
        399358004 R-10269 Caldwell
        399212002 R-1026A Camp-Coventry
        399013002 R-1026D Chassard-Lapine
        424811006 R-40A8B Danelius-Miller
        399372008 R-10273 Ferguson
        399341009 R-1027A Haas
        260493008 R-4080A Harris Beath axial
        399285008 R-1027E Holmblad
        399003005 R-10281 Hughston
        260496000 R-4080D Judet
        425030002 R-40A91 Kite
        399169008 R-1028B Lauenstein
        399206007 R-1028C Law
        399000008 R-10296 Mayer
        399284007 R-10297 Merchant
        260497009 R-4080E Mortice
        399234000 R-102A0 Rhese
        425042007 R-40A97 Rosenberg
        399290006 R-102A1 Schuller
        399243009 R-102A2 Settegast
        399349006 R-102A5 Stenvers
        399296000 R-102A8 Taylor
        399241006 R-102AA Titterington
        399270002 R-102AB Towne
        399125001 R-102AC Twining
        260506009 R-40816 Van Rosen
        260473000 R-407B0 Waters
    """,
}


def key_of(scheme: str, value: str) -> tuple[str, str]:
    """Return how a code is looked up: the designators of one SNOMED are one scheme."""
    scheme, value = scheme.strip().upper(), value.strip().upper()
    if scheme in SNOMED_CT:
        scheme = "SCT"
    elif scheme in SNOMED_RT:
        scheme = "SRT"
    return scheme, value


def _table() -> tuple[dict[tuple[str, str], Place], dict[tuple[str, str], str]]:
    places: dict[tuple[str, str], Place] = {}
    meanings: dict[tuple[str, str], str] = {}
    for group in (_REGIONS, _VIEWS):
        for place, rows in group.items():
            for row in rows.strip().splitlines():
                current, former, meaning = row.split(maxsplit=2)
                for key in (("SCT", current), ("SRT", former)):
                    if key[1] != "-":
                        places[key], meanings[key] = place, meaning
    return places, meanings


# By scheme and value, as `key_of` writes them.
CODES, MEANINGS = _table()


def meaning_of(coded: Coded) -> str:
    """Return what a code says in words: its own meaning, or ours where it brings none."""
    return coded.meaning or MEANINGS.get(key_of(coded.scheme, coded.value), "")
