"""A database of an earlier schema, filled as a site would have filled it.

The rows are written in SQL, because the package knows no schema but its own.
"""

from sqlalchemy import text

from tests.support.store import DX, at

MOMENTS = {"at", "received_at", "opened_at", "last_received_at", "waiting_since", "completed_at"}
MOMENTS |= {"claimed_at", "read_at", "scored_at", "held_until", "kept_since"}
SCORED = {"status": "scored", "label": "abnormal", "probability": 0.9, "model": "m 1"}
SCORED |= {"views_scored": 1, "band": 1, "weight": -0.9, "completed_at": 20}
# One study in each status and in each reading state, by its number.
STUDIES = {
    1: {"status": "receiving"},
    2: {"status": "complete", "completed_at": 20},
    3: SCORED,
    4: SCORED | {"reading_state": "claimed", "claimed_by": "ada", "claimed_at": 30},
    5: SCORED | {"reading_state": "read", "read_by": "bob", "read_at": 40, "finding": "normal"},
    6: {"status": "unscorable", "completed_at": 20, "views": 0, "reason": "not_an_image: an SR"},
    7: {"status": "failed", "completed_at": 20, "reason": "undecodable: it is broken"},
    8: SCORED | {"image_after_reading": True, "reason": "image_after_reading: it came later"},
    9: SCORED | {"overdue": True, "band": 0, "weight": 0.0},
}
PENDING = {"state": "pending"}
VIEWS = {
    1: PENDING | {"held_by": "host:1", "held_until": 25, "interruptions": 1},
    2: PENDING | {"attempts": 2, "reason": "undecodable: it is broken"},
    7: {"state": "failed", "attempts": 3, "reason": "undecodable: it is broken"},
}
DONE = {"state": "scored", "probability": 0.9, "threshold": 0.5, "model": "m 1", "scored_at": 19}


def fill(database, revision):
    """Write the studies with their instances, views and history."""
    with database.writing() as connection:

        def insert(table, **values):
            for name in MOMENTS & set(values):
                moment = at(values[name])
                postgres = connection.dialect.name == "postgresql"
                values[name] = moment if postgres else moment.strftime("%FT%T.%fZ")
            columns = ", ".join(values)
            places = ", ".join(f":{name}" for name in values)
            connection.execute(
                text(f"INSERT INTO {table} ({columns}) VALUES ({places})"),  # noqa: S608
                values,
            )

        for number, columns in STUDIES.items():
            kept = {"kept_since": columns["read_at"]} if "read_at" in columns else {}
            insert("study", **(_study(number) | columns), **(kept if revision >= "0004" else {}))
            insert("history", study_id=number, at=0, kind="received", detail="PACS")
            scorable = columns["status"] != "unscorable"
            insert("instance", **_instance(number, number, scorable=scorable))
            if scorable:
                insert("view", **(_view(number) | VIEWS.get(number, DONE)))
            if revision >= "0003" and number not in VIEWS and scorable:
                insert("activation", **_activation(number))
        # The image of study 3 had come before with other bytes.
        former = _instance(103, 3) | {"sop_instance_uid": "1.3.1", "state": "replaced"}
        insert("instance", **former)
        insert("view", **(_view(3) | {"id": 103, "instance_id": 103, "state": "failed"}))
        if connection.dialect.name == "postgresql":  # the rows above drew no numbers
            for table in ("study", "instance", "view", "history"):
                sequence = f"pg_get_serial_sequence('{table}', 'id')"
                connection.execute(text(f"SELECT setval({sequence}, 1000)"))


def contents(database):
    """Return every table that there is, and the worklist, as lists of rows by column."""
    with database.reading() as connection:
        found = {}
        for table in ("study", "instance", "view", "history", "activation", "worklist"):
            if table == "activation" and not _exists(connection, table):
                continue
            order = {"worklist": "position", "activation": "view_id"}.get(table, "id")
            rows = connection.execute(text(f"SELECT * FROM {table} ORDER BY {order}"))  # noqa: S608
            found[table] = [dict(row) for row in rows.mappings()]
            for row in found[table]:
                row.pop("waiting_seconds", None)
    return found


def _exists(connection, table):
    return connection.dialect.has_table(connection, table)


def _study(number):
    return {
        "id": number,
        "study_instance_uid": f"1.{number}",
        "accession_number": f"A{number}",
        **dict.fromkeys(("received_at", "opened_at", "waiting_since"), number),
        "last_received_at": number,
        "study_type": "hand",
        "side": "L",
        "views": 1,
        "views_scored": 0,
        "reading_state": "unread",
        "image_after_reading": False,
        "overdue": False,
        "band": 2,
        "weight": 0.0,
    }


def _instance(number, study, *, scorable=True):
    return {
        "id": number,
        "study_id": study,
        "sop_instance_uid": f"1.{number}.1",
        "digest": f"{number:064x}",
        "pixel_digest": f"p{number}",
        "series_instance_uid": f"1.{study}.0",
        "sop_class_uid": DX,
        "modality": "DX",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "body_part": "HAND",
        "study_type": "hand",
        "side": "L",
        "frames": int(scorable),
        "size": 1000,
        "state": "scorable" if scorable else "unscorable",
        "calling_ae_title": "PACS",
        "received_at": study,
        "reason": None if scorable else "not_an_image: an SR",
    }


def _view(number):
    return {
        "id": number,
        "study_id": number,
        "instance_id": number,
        "frame": 1,
        "attempts": 0,
        "interruptions": 0,
    }


def _activation(number):
    return {
        "view_id": number,
        "height": 1,
        "width": 1,
        "cells": b"ab",
        "side": 32,
        "resize": "squeeze",
    }
