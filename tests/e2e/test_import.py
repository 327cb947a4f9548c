"""Imports of leads: large, odd, repeated and simultaneous files. Every row comes to exactly one end."""

import collections
import csv
import io

import pytest
import requests

from leadfiles import (emails, finished, lead_file, outcome, pages, refused_rows, run_csv, start_csv, subset)

LARGE = lead_file(unique=8_200, duplicates=1_500, refused=300, quoted=20)
HUGE = lead_file(unique=49_000, duplicates=800, refused=200, name="huge")


class Imported:
    def __init__(self, api, started, job):
        self.api, self.started, self.job = api, started, job


@pytest.fixture(scope="module")
def large(connect, make_key, until):
    """A tenant with the file of 10,000 rows imported."""
    made = make_key()
    api = connect(made["api_key"], made["entity_id"])
    started = start_csv(api, LARGE.text)
    return Imported(api, started, finished(api, until, started, seconds=120))


def test_the_counts_of_a_large_file_are_exact(large):
    assert LARGE.rows == 10_000
    assert subset(large.started, LARGE.counts) == {"row_count": 10_000, "valid_row_count": 9_700, "duplicate_count": 1_500,
                                                   "invalid_row_count": 300}
    assert [error["row"] for error in large.started["errors"]] == LARGE.refused[:20]
    assert subset(large.job, LARGE.outcome) == outcome(created=8_200, skipped=1_500, failed=300)
    assert large.job["started_at"] < large.job["finished_at"] and large.job["rows_per_second"] > 0
    [event] = pages(large.api, "/events", "events", type="lead.*")
    assert subset(event["data"], {"row_count": 10_000}) == {"row_count": 10_000}
    assert (event["data"]["created"], event["data"]["skipped"], event["data"]["failed"]) == (8_200, 1_500, 300)


def test_each_lead_of_a_large_file_is_there_once(large, stack, aws):
    """Read from the table: the emulator takes a minute to page through as many."""
    scan = aws("dynamodb").get_paginator("scan").paginate(
        TableName=stack.outputs["TableName"], FilterExpression="entity_id = :entity AND #type = :lead",
        ExpressionAttributeNames={"#type": "type"}, ExpressionAttributeValues={":entity": {"S": large.api.entity_id}, ":lead": {"S": "lead"}})
    profiles = [item["profile"]["M"] for page in scan for item in page["Items"]]
    found = collections.Counter(profile["email"]["S"] for profile in profiles)
    assert set(found) == LARGE.emails and max(found.values()) == 1
    notes = {profile["email"]["S"]: profile.get("custom", {"M": {}})["M"].get("Notes", {}).get("S") for profile in profiles}
    assert all(notes[f"person{n}@example.com"] == 'two\r\nlines, "quoted"' for n in range(20)), "line breaks are kept as they were"


def test_paging_shows_each_lead_once_while_others_are_imported(tenant, until):
    first = lead_file(unique=450, name="first")
    run_csv(tenant, until, first.text)
    page = tenant.want(200, "GET", "/leads", params={"limit": 100})
    second = start_csv(tenant, lead_file(unique=300, name="second").text)
    seen = [lead["id"] for lead in page["leads"]]
    while page["next_cursor"]:
        page = tenant.want(200, "GET", "/leads", params={"limit": 100, "cursor": page["next_cursor"]})
        seen += [lead["id"] for lead in page["leads"]]
    assert len(seen) == len(set(seen)) == 450, "newest first: what came later is in front of the first page"
    finished(tenant, until, second)
    assert len(set(emails(tenant))) == 750


def test_a_large_file_imported_again_creates_nothing(large, until):
    started = start_csv(large.api, LARGE.text)
    assert started["duplicate_count"] == 9_700, "all valid rows are stored already"
    again = outcome(skipped=9_700, failed=300)
    job = finished(large.api, until, started, seconds=120)
    assert subset(job, again) == again
    newest = large.api.want(200, "GET", "/leads", params={"limit": 1})["leads"][0]
    assert newest["created_at"] <= large.job["finished_at"]
    assert len(pages(large.api, "/events", "events", type="lead.imported")) == 2


def test_refused_rows_can_be_corrected_and_imported_again(large, until):
    rows = refused_rows(large.api, large.job)
    assert [int(row["import_row"]) for row in rows] == LARGE.refused
    reasons = collections.Counter(row["import_error"] for row in rows)
    assert sorted(reasons.values()) == [100, 100, 100], reasons
    assert all(row["Last Name"] or row["First Name"] for row in rows)

    for number, row in enumerate(rows):
        row["E-mail"] = f"corrected{number}@example.com"
        row.pop(None, None)  # the surplus cell that one in three was refused for
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    job = run_csv(large.api, until, out.getvalue())
    assert subset(job, outcome(created=300)) == outcome(created=300)
    lead = large.api.want(200, "GET", "/leads", params={"q": "corrected7@"})["leads"][0]
    assert not any(name.startswith("import_") for name in lead["custom"]), "the columns that we added are not the tenant's"


def test_simultaneous_imports_make_each_lead_once(tenant, until):
    texts = ["E-mail\n" + "".join(f"p{n}@example.com\n" for n in range(start, start + 1_200)) for start in (0, 600)]
    started = [start_csv(tenant, text) for text in texts]
    jobs = [finished(tenant, until, each) for each in started]
    for job in jobs:
        assert (job["status"], job["created"] + job["skipped"], job["failed"]) == ("completed", 1_200, 0)
    assert sum(job["created"] for job in jobs) == 1_800
    found = collections.Counter(emails(tenant))
    assert len(found) == 1_800 and max(found.values()) == 1
    assert len(pages(tenant, "/events", "events", type="lead.imported")) == 2


def test_an_uploaded_file_of_50_000_rows(tenant, until):
    upload = tenant.want(201, "POST", "/leads/import/uploads")
    assert upload["max_bytes"] == 5 * 1024 ** 3
    body = HUGE.text.encode()
    with requests.Session() as anonymous:
        anonymous.trust_env = False
        sent = anonymous.put(upload["url"], data=body, headers=upload["headers"], timeout=60)
    assert sent.status_code == 200, sent.text
    started = tenant.want(202, "POST", "/leads/import", json={"upload_id": upload["upload_id"]})
    assert started["status"] == "validating"
    assert (started["row_count"], started["valid_row_count"], started["duplicate_count"], started["invalid_row_count"]) == (None,) * 4
    job = finished(tenant, until, started, seconds=240)
    assert subset(job, HUGE.outcome) == outcome(created=49_000, skipped=800, failed=200)
    assert len(refused_rows(tenant, job)) == 200
    [event] = pages(tenant, "/events", "events", type="lead.imported")
    assert event["data"]["created"] == 49_000


def test_an_upload_that_is_no_csv_fails_as_a_whole(tenant, until):
    upload = tenant.want(201, "POST", "/leads/import/uploads")
    with requests.Session() as anonymous:
        anonymous.trust_env = False
        assert anonymous.put(upload["url"], data=b"PK\x03\x04 a spreadsheet", headers=upload["headers"], timeout=30).status_code == 200
    job = finished(tenant, until, tenant.want(202, "POST", "/leads/import", json={"upload_id": upload["upload_id"]}))
    assert job["status"] == "failed" and job["error"] and job["created"] == 0
    assert pages(tenant, "/leads", "leads") == []


def test_an_upload_url_is_good_for_its_file_only(tenant, stack):
    upload = tenant.want(201, "POST", "/leads/import/uploads")
    with requests.Session() as anonymous:
        anonymous.trust_env = False
        elsewhere = upload["url"].replace(upload["upload_id"], "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77")
        assert anonymous.put(elsewhere, data=b"x", headers=upload["headers"], timeout=30).status_code == 403
        assert anonymous.get(upload["url"], timeout=30).status_code == 403


HEADER, ROW = ("E-Mail", "Vorname", "Nachname", "Firma"), ("juergen@example.com", "Jürgen", "Groß", "Café & Söhne")
ENCODINGS = {
    "latin-1": ("latin-1", "", ","),
    "windows-1252 with semicolons": ("cp1252", "", ";"),
    "UTF-8 with BOM": ("utf-8-sig", "", ","),
    "UTF-16 LE with BOM and tabs": ("utf-16-le", "\ufeff", "\t"),
    "UTF-16 BE with BOM": ("utf-16-be", "\ufeff", ","),
}


@pytest.mark.parametrize("how", ["form", "upload"])
@pytest.mark.parametrize("name", ENCODINGS)
def test_encodings(tenant, until, name, how):
    encoding, mark, delimiter = ENCODINGS[name]
    body = (mark + delimiter.join(HEADER) + "\r\n" + delimiter.join(ROW) + "\r\n").encode(encoding)
    if how == "form":
        started = tenant.want(202, "POST", "/leads/import", files={"file": ("export.csv", body, "text/csv")})
        assert subset(started, {"row_count": 1, "valid_row_count": 1}) == {"row_count": 1, "valid_row_count": 1}
    else:
        upload = tenant.want(201, "POST", "/leads/import/uploads")
        with requests.Session() as anonymous:
            anonymous.trust_env = False
            assert anonymous.put(upload["url"], data=body, headers=upload["headers"], timeout=30).status_code == 200
        started = tenant.want(202, "POST", "/leads/import", json={"upload_id": upload["upload_id"]})
    assert finished(tenant, until, started)["created"] == 1
    [lead] = pages(tenant, "/leads", "leads")
    assert (lead["email"], lead["first_name"], lead["last_name"], lead["company"]["name"]) == ROW


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_delimiters_and_line_ends_of_a_body(tenant, until, delimiter, newline):
    lines = [HEADER, ROW, ("quoted@example.com", f'"with {delimiter} in it"', '"and ""quotes"""', '"and' + newline + 'lines"')]
    job = run_csv(tenant, until, newline.join(delimiter.join(line) for line in lines) + newline)
    assert job["created"] == 2
    leads = {lead["email"]: lead for lead in pages(tenant, "/leads", "leads")}
    assert leads["juergen@example.com"]["last_name"] == "Groß"
    quoted = leads["quoted@example.com"]
    assert (quoted["first_name"], quoted["last_name"]) == (f"with {delimiter} in it", 'and "quotes"')
    assert quoted["company"]["name"].split() == ["and", "lines"]


def test_on_duplicate_update_changes_what_the_row_says(tenant, until):
    run_csv(tenant, until, "email,first_name,title,plan\nada@example.com,Ada,CTO,pro\ngrace@example.com,Grace,,\n")
    job = run_csv(tenant, until, "email,title,first_name\nada@example.com,CEO,\nnew@example.com,,New\n", on_duplicate="update")
    wanted = outcome(created=1, updated=1)
    assert subset(job, wanted) == wanted
    leads = {lead["email"]: lead for lead in pages(tenant, "/leads", "leads")}
    ada = leads["ada@example.com"]
    assert (ada["first_name"], ada["title"], ada["custom"]) == ("Ada", "CEO", {"plan": "pro"}), "a blank cell leaves the field"
    assert leads["grace@example.com"]["first_name"] == "Grace"


def test_without_dedupe_every_row_is_a_lead(tenant, until):
    csv_text = "email\nada@example.com\nada@example.com\nADA@example.com\n"
    run_csv(tenant, until, csv_text)
    started = start_csv(tenant, csv_text, dedupe="false")
    assert started["duplicate_count"] == 0
    job = finished(tenant, until, started)
    assert subset(job, outcome(created=3)) == outcome(created=3)
    assert len(pages(tenant, "/leads", "leads")) == 4


@pytest.mark.parametrize(("options", "pointer"), [
    ({"data": b"", "headers": {"content-type": "text/csv"}}, ""),
    ({"data": b"email,name\n", "headers": {"content-type": "text/csv"}}, ""),
    ({"data": b"name,age\nAda,36\n", "headers": {"content-type": "text/csv"}}, ""),
    ({"data": b"\x89PNG\r\n\x1a\n\x00\x00", "headers": {"content-type": "text/csv"}}, ""),
    ({"data": b"email\na@example.com\n", "params": {"on_duplicate": "merge"}, "headers": {"content-type": "text/csv"}}, "?on_duplicate"),
    ({"data": b"email\na@example.com\n", "params": {"dedupe": "perhaps"}, "headers": {"content-type": "text/csv"}}, "?dedupe"),
    ({"data": b"email\na@example.com\n", "params": {"campaign": "x"}, "headers": {"content-type": "text/csv"}}, "?campaign"),
    ({"files": {"dedupe": (None, "true")}}, "/file"),
    ({"files": {"file": ("x.csv", b"name\nAda\n", "text/csv")}}, "/file"),
    ({"json": {}}, "/csv"),
    ({"json": {"csv": "name\nAda\n"}}, "/csv"),
    ({"json": {"csv": "email\na@example.com\n", "mapping": {"Address": "email"}}}, "/mapping/Address"),
    ({"json": {"csv": "email\na@example.com\n", "mapping": {"email": "emial"}}}, "/mapping/email"),
    ({"json": {"csv": "email\na@example.com\n", "campaign_id": "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77"}}, "/campaign_id"),
    ({"json": {"csv": "email\na@example.com\n", "dedup": True}}, "/dedup"),
    ({"json": {"upload_id": "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77"}}, "/upload_id"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_cannot_be_imported_is_422(api, options, pointer):
    problem = api.want(422, "POST", "/leads/import", **options)
    assert [error["pointer"] for error in problem["errors"]] == [pointer], problem
    assert problem["type"] and problem["status"] == 422 and problem["instance"] == "/leads/import"


def test_other_refusals(api):
    assert api.want(415, "POST", "/leads/import", data=b"x", headers={"content-type": "application/pdf"})["status"] == 415
    assert api.want(400, "POST", "/leads/import", data=b"{", headers={"content-type": "application/json"})["status"] == 400
    large = "email\n" + "a" * (4 * 1024 * 1024) + "@example.com\n"
    problem = api.want(413, "POST", "/leads/import", data=large.encode(), headers={"content-type": "text/csv"})
    assert "/leads/import/uploads" in problem["detail"]
    api.want(404, "GET", "/leads/import/01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77")
    api.want(404, "GET", "/leads/import/01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77/errors")
