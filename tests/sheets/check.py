"""Google's own Python client against the stand-in, and its decoder against our signed statement.

Owns the proof that the stand-in is one: what the official client asks for is answered so that it understands
it. Refuses to know our client. `check.py api URL TOKEN KEY` or `check.py jwt STATEMENT KEY AUDIENCE`.
"""

import json
import sys

from google.auth import exceptions, jwt
from google.oauth2 import credentials, service_account
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

BOOK = "book-1"


def services(url, creds):
    options = {"api_endpoint": url}
    quiet = {"static_discovery": True, "cache_discovery": False, "client_options": options}
    sheets = build("sheets", "v4", credentials=creds, **quiet).spreadsheets()
    # Drive's paths begin below the endpoint: /drive/v3/ is part of it.
    options = {"api_endpoint": url + "/drive/v3/"}
    files = build("drive", "v3", credentials=creds, **{**quiet, "client_options": options}).files()
    return sheets, files


def user(url, grant, token="stale"):
    return credentials.Credentials(
        token=token,
        refresh_token=grant,
        token_uri=url + "/token",
        client_id="client",
        client_secret="secret",
    )


def status(call):
    try:
        call.execute()
    except HttpError as error:
        return error.resp.status
    return 200


def api(url, token, key):
    # A stale token: the client refreshes it after the 401.
    sheets, files = services(url, user(url, "good"))
    values = sheets.values()
    got = values.get(spreadsheetId=BOOK, range="'Port Sheet'!A1:F").execute()
    assert got["range"] == "'Port Sheet'!A1:F1000", got
    assert got["values"][1][:2] == ["B1", "Oslo"], got
    plain = {"valueRenderOption": "UNFORMATTED_VALUE", "dateTimeRenderOption": "SERIAL_NUMBER"}
    both = values.batchGet(spreadsheetId=BOOK, ranges=["'Port Sheet'!C2", "'Port Sheet'!D2:D3"], **plain).execute()
    assert [one["values"] for one in both["valueRanges"]] == [[[46023.5]], [[12], [7]]], both
    about = sheets.get(spreadsheetId=BOOK, fields="properties.timeZone,sheets.properties(sheetId,title)").execute()
    assert about["properties"] == {"timeZone": "Europe/Oslo"}, about
    assert [sheet["properties"]["sheetId"] for sheet in about["sheets"]] == [0, 7], about
    before = files.get(fileId=BOOK, fields="version", supportsAllDrives=True).execute()["version"]

    body = {"values": [["B9", None, ""]]}
    values.update(spreadsheetId=BOOK, range="'Port Sheet'!A3", valueInputOption="RAW", body=body).execute()
    data = [{"range": "'Port Sheet'!B3:B3", "values": [["Drammen"]]}]
    values.batchUpdate(spreadsheetId=BOOK, body={"valueInputOption": "RAW", "data": data}).execute()
    got = values.get(spreadsheetId=BOOK, range="'Port Sheet'!A3:D3", **plain).execute()
    assert got["values"] == [["B9", "Drammen", "", 7]], got
    row = {"values": [["B10", "Moss"]]}
    values.append(spreadsheetId=BOOK, range="'Port Sheet'!A1", valueInputOption="RAW", body=row).execute()
    after = files.get(fileId=BOOK, fields="version").execute()["version"]
    assert int(after) > int(before), (before, after)

    assert status(values.get(spreadsheetId="nothing", range="A1")) == 404
    assert status(values.get(spreadsheetId=BOOK, range="Nowhere!A1")) == 400
    assert status(values.update(spreadsheetId=BOOK, range="A1", valueInputOption="RAW", body={"rows": []})) == 400

    dead, _ = services(url, user(url, "dead"))
    try:
        dead.get(spreadsheetId=BOOK).execute()
        raise AssertionError("a dead grant was good")
    except exceptions.RefreshError as error:
        assert "invalid_grant" in str(error) and not error.retryable, error

    info = {"type": "service_account", "client_email": "robot@example.test", "token_uri": url + "/token",
            "private_key": open(key).read(), "private_key_id": "k1"}
    scopes = ["https://www.googleapis.com/auth/spreadsheets.readonly"]
    robot = service_account.Credentials.from_service_account_info(info, scopes=scopes)
    sheets, _ = services(url, robot)
    assert sheets.get(spreadsheetId=BOOK).execute()["spreadsheetId"] == BOOK


def statement(text, key, audience):
    from cryptography.hazmat.primitives import serialization

    private = serialization.load_pem_private_key(open(key, "rb").read(), password=None)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    claims = jwt.decode(text, certs=public, audience=audience)
    assert claims["iss"] == "robot@example.test", claims
    assert claims["exp"] - claims["iat"] == 3600, claims
    print(json.dumps(claims["scope"]))


if __name__ == "__main__":
    {"api": api, "jwt": statement}[sys.argv[1]](*sys.argv[2:])
    print("ok")
