"""A server that speaks enough of AWS for dkimguard's tests: moto, with what it lacks for SES added.

It serves on a free port of 127.0.0.1, prints `listening on URL`, and ends when its standard input is closed.

Beside AWS's own API it has one for tests, JSON in and out, under /_peer. All state, faults and limits belong to
one account, so that tests in parallel don't disturb each other. The access key PEERACCT followed by the twelve
digits of an account belongs to that account; AssumeRole leads into the account of the role.

  POST /_peer/identities  {"account", "region", "identities": [{"name", ...}]}
        An identity is what GetEmailIdentity answers, and `name`. Whatever is left out is that of a healthy Easy
        DKIM domain with tokens of its own; null takes a field away.
  POST /_peer/faults      {"account", "operation", ["region"], ["name"], ["times"], then what happens: ["delay"],
        ["drop": "at once" or "in the body"], ["body", "type"], ["status", "code", "message"]}
        Seconds, HTTP status and error code. Faults are met in the order in which they were posted; `times` is how
        often, without it for ever. `name`: only where the call names this identity.
  POST /_peer/limits      {"account", "rate", "burst"}
        A token bucket for SES in each region of the account: calls a second, and calls at once; v1 and v2 together.
  GET  /_peer/calls?account=A
        The calls so far: [{"operation", "region", "account", "at", "outcome", "names"}].
"""

import hashlib
import io
import json
import re
import socket
import sys
import threading
import time
from collections import defaultdict
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

import moto.iam.models
from moto.core.responses import ActionResult
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.ses.exceptions import NotFoundException
from moto.ses.responses import EmailResponse
from moto.sesv2.responses import SESV2Response
from werkzeug.serving import WSGIRequestHandler, make_server

LOCK = threading.RLock()
IDENTITIES = defaultdict(dict)  # (account, region) -> name -> the answer of GetEmailIdentity
FAULTS = defaultdict(list)  # account -> faults
LIMITS = {}  # account -> (calls a second, calls at once)
TOKENS = {}  # (account, region) -> (how many, when they were counted)
CALLS = []


# The account of a call.

MOTO_ACCOUNT_OF = moto.iam.models.get_account_id_from


def account_of(access_key):
    own = re.fullmatch(r"PEERACCT(\d{12})", access_key)
    return own[1] if own else MOTO_ACCOUNT_OF(access_key)


moto.iam.models.get_account_id_from = account_of


# SES, in place of moto's.


def healthy(account, region, name):
    """The answer of GetEmailIdentity for a healthy Easy DKIM domain."""
    tokens = [hashlib.sha256(f"{account} {region} {name} {n}".encode()).hexdigest()[:32] for n in range(3)]
    return {
        "IdentityType": "DOMAIN",
        "FeedbackForwardingStatus": True,
        "VerifiedForSendingStatus": True,
        "VerificationStatus": "SUCCESS",
        "DkimAttributes": {
            "SigningEnabled": True,
            "Status": "SUCCESS",
            "Tokens": tokens,
            "SigningHostedZone": "dkim.amazonses.com",
            "SigningAttributesOrigin": "AWS_SES",
            "CurrentSigningKeyLength": "RSA_2048_BIT",
            "NextSigningKeyLength": "RSA_2048_BIT",
        },
    }


def merged(base, change):
    """The change over the base, object by object; null takes a key away."""
    if not isinstance(base, dict) or not isinstance(change, dict):
        return change
    result = dict(base)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(base.get(key, {}), value)
    return result


def put_identities(account, region, identities):
    held = IDENTITIES[account, region]
    for identity in identities:
        name = identity.pop("name")
        held[name] = merged(healthy(account, region, name), identity)


def get_email_identity(self):
    name = unquote(self.path.rsplit("/", 1)[-1])
    try:
        return json.dumps(IDENTITIES[self.current_account, self.region][name])
    except KeyError:
        raise NotFoundException(f"Email identity {name} does not exist.") from None


def list_email_identities(self):
    asked = json.loads(self.body or "{}")
    size = asked.get("PageSize") or 100
    start = int(asked.get("NextToken") or 0)
    held = sorted(IDENTITIES[self.current_account, self.region].items())
    page = {
        "EmailIdentities": [
            {
                "IdentityName": name,
                "IdentityType": identity["IdentityType"],
                "SendingEnabled": identity["VerifiedForSendingStatus"],
                "VerificationStatus": identity["VerificationStatus"],
            }
            for name, identity in held[start : start + size]
        ]
    }
    if start + size < len(held):
        page["NextToken"] = str(start + size)
    return json.dumps(page)


def get_identity_dkim_attributes(self):
    held = IDENTITIES[self.current_account, self.region]
    told = {}
    for name in self._get_param("Identities", []):
        dkim = held.get(name, {}).get("DkimAttributes")
        if dkim is not None:
            told[name] = {
                "DkimEnabled": dkim["SigningEnabled"],
                "DkimVerificationStatus": "".join(word.title() for word in dkim["Status"].split("_")),
                "DkimTokens": dkim.get("Tokens", []),
            }
    return ActionResult({"DkimAttributes": told})


SESV2Response.get_email_identity = get_email_identity
SESV2Response.list_email_identities = list_email_identities
EmailResponse.get_identity_dkim_attributes = get_identity_dkim_attributes


# What stands before AWS: the log, the limits, the faults.


class Call:
    """A call to AWS, as far as its address, its signature and its form tell."""

    def __init__(self, environ, body):
        signed = re.search(r"Credential=([^/]+)/[^/]+/([^/]+)/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
        key, self.region, self.service = signed.groups() if signed else ("", "", "")
        self.account = account_of(key)
        self.is_json = environ["PATH_INFO"].startswith("/v2/")
        self.names = []
        if self.is_json:
            path = environ["PATH_INFO"]
            if path.endswith("/list-identities"):
                self.operation = "ListEmailIdentities"
            elif found := re.fullmatch(r"/v2/email/identities/([^/]+)", path):
                self.operation = {"GET": "GetEmailIdentity"}.get(environ["REQUEST_METHOD"], "other")
                self.names = [unquote(found[1])]
            else:
                self.operation = "other"
        else:
            form = parse_qs(body.decode())
            self.operation = form.get("Action", ["other"])[0]
            self.names = [values[0] for key, values in form.items() if key.startswith("Identities.")]

    def next_fault(self):
        for fault in FAULTS[self.account]:
            if (
                fault["operation"] == self.operation
                and fault.get("region", self.region) == self.region
                and ("name" not in fault or fault["name"] in self.names)
                and fault.get("times", 1) > 0
            ):
                if "times" in fault:
                    fault["times"] -= 1
                return fault
        return None

    def is_too_soon(self):
        if self.account not in LIMITS or self.service != "ses":
            return False
        rate, burst = LIMITS[self.account]
        place, now = (self.account, self.region), time.monotonic()
        tokens, counted = TOKENS.get(place, (burst, now))
        tokens = min(burst, tokens + (now - counted) * rate)
        is_empty = tokens < 1
        TOKENS[place] = (tokens if is_empty else tokens - 1, now)
        return is_empty

    def error(self, start_response, status, code, message):
        if self.is_json:
            body = json.dumps({"message": message})
            headers = [("Content-Type", "application/json"), ("x-amzn-errortype", code)]
        else:
            body = (
                f"<ErrorResponse><Error><Type>Sender</Type><Code>{escape(code)}</Code>"
                f"<Message>{escape(message)}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
            )
            headers = [("Content-Type", "text/xml")]
        return answer(start_response, status, headers, body)


def answer(start_response, status, headers, body):
    octets = body.encode()
    start_response(f"{status} Answer", [*headers, ("Content-Length", str(len(octets)))])
    return [octets]


def drop(environ):
    """Cuts the connection; the server takes the error for the client's doing, and is silent."""
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError


def serve(aws):
    def app(environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        if environ["PATH_INFO"].startswith("/_peer/"):
            return administer(environ, start_response, body)
        with LOCK:
            call = Call(environ, body)
            is_too_soon, fault = call.is_too_soon(), None
            if not is_too_soon:
                fault = call.next_fault()
            outcome = "throttled" if is_too_soon else "fault" if fault else "answered"
            CALLS.append(
                {
                    "operation": call.operation,
                    "region": call.region,
                    "account": call.account,
                    "at": time.time(),
                    "outcome": outcome,
                    "names": call.names,
                }
            )
        if is_too_soon:
            return call.error(start_response, 429, "TooManyRequestsException", "Maximum sending rate exceeded.")
        fault = fault or {}
        time.sleep(fault.get("delay", 0))
        if fault.get("drop") == "at once":
            drop(environ)
        if fault.get("drop") == "in the body":
            start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "1000")])
            return broken_off(environ)
        if "code" in fault:
            return call.error(start_response, fault["status"], fault["code"], fault.get("message", ""))
        if "body" in fault:
            headers = [("Content-Type", fault.get("type", "text/html"))]
            return answer(start_response, fault.get("status", 200), headers, fault["body"])
        return aws(environ, start_response)

    return app


def broken_off(environ):
    yield b'{"EmailIdentit'
    drop(environ)


# The tests' own API.


def administer(environ, start_response, body):
    what = environ["PATH_INFO"].removeprefix("/_peer/")
    asked = json.loads(body) if body else {}
    told = None
    with LOCK:
        if what == "identities":
            put_identities(asked["account"], asked["region"], asked["identities"])
        elif what == "faults":
            FAULTS[asked["account"]].append(asked)
        elif what == "limits":
            LIMITS[asked["account"]] = (asked["rate"], asked["burst"])
        elif what == "calls":
            account = parse_qs(environ["QUERY_STRING"])["account"][0]
            told = [call for call in CALLS if call["account"] == account]
        else:
            return answer(start_response, 404, [], "")
    return answer(start_response, 200, [("Content-Type", "application/json")], json.dumps(told))


class Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_):
        """Standard error belongs to the tests."""


def main():
    aws = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, serve(aws), threaded=True, request_handler=Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"listening on http://127.0.0.1:{server.port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
