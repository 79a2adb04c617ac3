"""A server that speaks enough of AWS for dkimguard's tests: moto, with what it lacks for SES, Route 53 and CloudTrail
added.

It serves on a free port of 127.0.0.1, prints `listening on URL`, and ends when its standard input is closed.

Beside AWS's own API it has one for tests, JSON in and out, under /_peer. All state, faults and limits belong to
one account, so that tests in parallel don't disturb each other. The access key PEERACCT followed by the twelve
digits of an account belongs to that account; AssumeRole leads into the account of the role.

  POST /_peer/identities  {"account", "region", "identities": [{"name", ...}]}
        An identity is what GetEmailIdentity answers, and `name`. Whatever is left out is that of a healthy Easy
        DKIM domain with tokens of its own; null takes a field away.
  POST /_peer/zones       {"account", "zones": [{"name", "id", ["private"], ["servers"], ["records"], ["fill"]}],
        ["page"]}
        Hosted zones. A record is {"name", "type", "values", ["ttl"], ["identifier", ["weight"]]}, or with "alias" in
        place of the values. "fill": that many records more, under h000000.<zone> and so on.
        "page": how many zones the list gives at once, in place of 100.
  POST /_peer/edit        {"account", "id", "records"}
        Somebody else's change of a zone: these records, in the place of whatever stands at their names; one without
        values only takes away.
  POST /_peer/changes     {"account", ["sync_after"], ["sync_asks"], ["one_at_a_time"]}
        What becomes of a change of records: it is PENDING for so many seconds, and for so many questions; both are
        nothing by default. "one_at_a_time": a change is refused while another of the same zone is PENDING.
  GET  /_peer/changes?account=A
        The changes that were made, in order: [{"id", "zone", "comment", "changes": [{"action", "name", "type", "ttl",
        "identifier", "weight", "values"}]}].
  GET  /_peer/zonefile?account=A&id=Z
        The zone as a text in the format of RFC 1035. Aliases are left out, and of records with a set identifier all but
        the first.
  POST /_peer/zonefiles   {"zones": [{"account", "id"}]}
        The same of several zones, in their order.
  POST /_peer/restarts    {"account", "region", "name", ["tokens"], ["zone"], ["answer"], ["refuses_length"]}
        What PutEmailIdentityDkimSigningAttributes does: the identity gets these tokens and this hosted zone, in place of
        those that it has, and is PENDING. "answer": what is told in place of that, merged. "refuses_length": a call that
        gives a key length is refused.
  POST /_peer/verify      {"account", "region", "name", "servers": ["address:port"], ["after"], ["key"]}
        SES's own look: once so many seconds have passed, and as soon as every one of the servers gives all CNAMEs of the
        identity while it is PENDING or TEMPORARY_FAILURE, its status is SUCCESS. Until then SES looks ten times a second.
        "key": the TXT that the servers must give in their place, where the key is the owner's.
  POST /_peer/events      {"account", "region", "events": [{...}]}
        What CloudTrail records, as it writes it in CloudTrailEvent. Whatever is left out of eventID and eventTime is
        made up, the events being one second apart and the first the latest; beside the record's own fields
        "resources" are the names of what it is about, and "text" stands in place of the record.
  POST /_peer/faults      {"account", "operation", ["region"], ["name"], ["skip"], ["times"], then what happens: ["delay"],
        ["drop": "at once", "in the body" or "when done"], ["hold"], ["edit"], ["body", "type"],
        ["status", "code", "message"]}
        Seconds, HTTP status and error code. Faults are met in the order in which they were posted; `times` is how
        often, without it for ever, and `skip` how many such calls go free before. The operation "*" is any. `name`: only
        where the call names this identity. "when done": the call does its work, and the answer is lost. "hold": the call
        does its work, and so many seconds pass before the answer. "edit": what /_peer/edit takes is done just before the
        call.
  POST /_peer/heal        {"account"}
        Takes all faults of the account away.
  POST /_peer/limits      {"account", "rate", "burst", ["service": "ses", "route53" or "cloudtrail"]}
        A token bucket for a service in each region of the account: calls a second, and calls at once; v1 and v2 of
        SES, which is what is meant if none is named, together.
  POST /_peer/topics      {"account", "region", "name"}
        A topic of SNS; the answer is its ARN.
  GET  /_peer/messages?topic=ARN
        What was published to it: [{"message", "subject", "attributes": {name: value}}].
  GET  /_peer/sent?account=A
        The mails that SES took, in order: [{"region", "at", "from", "to", "reply_to", "subject", "text",
        "headers": {name: value}, "tags": {name: value}}]. It takes a mail while the sender's domain is an identity that
        may send, and refuses it as SES does while it isn't.
  GET  /_peer/calls?account=A
        The calls so far: [{"operation", "region", "account", "at", "outcome", "names", "held"}]. "held": the call has done
        its work, and its answer is held back.
"""

import functools
import hashlib
import io
import json
import re
import socket
import struct
import sys
import threading
import time
import uuid
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

import moto.iam.models
import moto.sesv2.urls
from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.exceptions import JsonRESTError, ServiceException
from moto.core.responses import ActionResult
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.route53.exceptions import InvalidInput
from moto.route53.models import DelegationSet, FakeZone, RecordSet, route53_backends
from moto.route53.responses import Route53
from moto.ses.exceptions import NotFoundException
from moto.ses.responses import EmailResponse
from moto.sesv2.responses import SESV2Response
from moto.sns.models import sns_backends
from werkzeug.serving import WSGIRequestHandler, make_server

LOCK = threading.RLock()
IDENTITIES = defaultdict(dict)  # (account, region) -> name -> the answer of GetEmailIdentity
FAULTS = defaultdict(list)  # account -> faults
ZONES_A_PAGE = {}  # account -> how many zones the list gives at once
EVENTS = defaultdict(list)  # (account, region) -> events of CloudTrail, the latest first
LIMITS = {}  # (account, service) -> (calls a second, calls at once)
TOKENS = {}  # (account, service, region) -> (how many, when they were counted)
RESTARTS = {}  # (account, region, name) -> what starting the identity again does
CHANGES = defaultdict(list)  # account -> changes of records
CHANGING = {}  # account -> what becomes of them
CALLS = []
SENT = defaultdict(list)  # account -> mails


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


def send_email(self):
    asked = json.loads(self.body)
    sender = asked["FromEmailAddress"]
    domain = sender.rpartition("@")[2]
    if not IDENTITIES[self.current_account, self.region].get(domain, {}).get("VerifiedForSendingStatus"):
        raise JsonRESTError(
            "MessageRejected",
            "Email address is not verified. The following identities failed the check in region "
            f"{self.region.upper()}: {sender}",
        )
    simple, destination = asked["Content"]["Simple"], asked["Destination"]
    pairs = lambda items: {item["Name"]: item["Value"] for item in items or []}
    with LOCK:
        sent = SENT[self.current_account]
        sent.append(
            {
                "region": self.region,
                "at": time.time(),
                "from": sender,
                "to": destination.get("ToAddresses", []),
                "reply_to": asked.get("ReplyToAddresses", []),
                "subject": simple["Subject"]["Data"],
                "text": simple["Body"]["Text"]["Data"],
                "headers": pairs(simple.get("Headers")),
                "tags": pairs(asked.get("EmailTags")),
            }
        )
        return json.dumps({"MessageId": f"peer-{len(sent)}"})


def put_email_identity_dkim_signing_attributes(self):
    name, asked = unquote(self.path.split("/")[-3]), json.loads(self.body)
    place = (self.current_account, self.region)
    with LOCK:
        if name not in IDENTITIES[place]:
            raise NotFoundException(f"Email identity {name} does not exist.")
        does, dkim = RESTARTS.get((*place, name), {}), IDENTITIES[place][name]["DkimAttributes"]
        length = asked.get("SigningAttributes", {}).get("NextSigningKeyLength")
        if asked["SigningAttributesOrigin"] != "AWS_SES" or (length and does.get("refuses_length")):
            raise JsonRESTError("BadRequestException", "The signing attributes are not valid.")
        dkim["Tokens"] = does.get("tokens", dkim.get("Tokens") or healthy(*place, name)["DkimAttributes"]["Tokens"])
        dkim["SigningHostedZone"] = does.get("zone", dkim.get("SigningHostedZone", "dkim.amazonses.com"))
        dkim |= {"Status": "PENDING", "SigningAttributesOrigin": "AWS_SES"}
        if length:
            dkim["NextSigningKeyLength"] = length
        told = {"DkimStatus": "PENDING", "DkimTokens": dkim["Tokens"], "SigningHostedZone": dkim["SigningHostedZone"]}
        return json.dumps(merged(told, does.get("answer", {})))


CNAME, TXT = 5, 16


def question(name, kind, number):
    """A DNS question."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    return struct.pack(">6H", number, 0, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", kind, 1)


def read_name(message, at):
    """The name at a place of a message, and where it ends."""
    labels, end = [], None
    while message[at]:
        if message[at] >= 0xC0:
            end = end or at + 2
            at = struct.unpack(">H", message[at : at + 2])[0] & 0x3FFF
        else:
            labels.append(message[at + 1 : at + 1 + message[at]].decode("latin-1").lower())
            at += 1 + message[at]
    return ".".join(labels), end or at + 1


def joined(strings):
    """The strings of a TXT record as one text."""
    text, at = b"", 0
    while at < len(strings):
        text += strings[at + 1 : at + 1 + strings[at]]
        at += 1 + strings[at]
    return text.decode("latin-1")


def exactly(asking, length):
    octets = b""
    while len(octets) < length:
        octets += asking.recv(length - len(octets)) or drop_out()
    return octets


def drop_out():
    raise OSError("the server has closed the connection")


def values_at(server, name, kind):
    """The targets of CNAMEs, or the texts of TXTs, at a name, as one server tells them. It is asked over TCP."""
    address, _, port = server.rpartition(":")
    number = int.from_bytes(uuid.uuid4().bytes[:2], "big")
    asked = question(name, kind, number)
    with socket.create_connection((address.strip("[]"), int(port)), timeout=1) as asking:
        asking.sendall(struct.pack(">H", len(asked)) + asked)
        message = exactly(asking, struct.unpack(">H", exactly(asking, 2))[0])
    told, flags, _, answers = struct.unpack(">4H", message[:8])
    values = []
    if told != number or flags & 0xF:
        return values
    at = read_name(message, 12)[1] + 4
    for _ in range(answers):
        owner, at = read_name(message, at)
        type, _, _, length = struct.unpack(">2HIH", message[at : at + 10])
        if type == kind and owner == name.lower():
            at_value = at + 10
            values.append(read_name(message, at_value)[0] if kind == CNAME else joined(message[at_value:][:length]))
        at += 10 + length
    return values


def holds(servers, wanted):
    try:
        return all(values_at(server, name, kind) == [value] for server in servers for name, kind, value in wanted)
    except (OSError, IndexError, struct.error):
        return False


def verify(account, region, name, servers, after, key):
    def wanted(dkim):
        names = [(token, f"{token}._domainkey.{name}") for token in dkim.get("Tokens", [])]
        if key:
            return [(owner, TXT, key) for _, owner in names]
        return [(owner, CNAME, f"{token}.{dkim['SigningHostedZone']}".lower()) for token, owner in names]

    time.sleep(after)
    while name in IDENTITIES[account, region]:
        with LOCK:
            identity = IDENTITIES[account, region][name]
            dkim = identity["DkimAttributes"]
            looks, want = dkim["Status"] in ("PENDING", "TEMPORARY_FAILURE"), wanted(dkim)
        if looks and want and holds(servers, want):
            with LOCK:
                # Tokens may have changed while the servers were asked.
                if wanted(dkim) == want:
                    dkim["Status"] = "SUCCESS"
                    identity |= {"VerifiedForSendingStatus": True, "VerificationStatus": "SUCCESS"}
                    return
        time.sleep(0.1)


# moto takes the call for GetEmailIdentity's without a path of its own.
moto.sesv2.urls.url_paths["{0}/v2/email/identities/(?P<EmailIdentity>[^/]+)/dkim/signing$"] = SESV2Response.dispatch
SESV2Response.put_email_identity_dkim_signing_attributes = put_email_identity_dkim_signing_attributes
SESV2Response.get_email_identity = get_email_identity
SESV2Response.send_email = send_email
SESV2Response.list_email_identities = list_email_identities
EmailResponse.get_identity_dkim_attributes = get_identity_dkim_attributes


# Route 53: moto's zones, read in the order and the pages of Route 53.


def escaped(name):
    """The name as Route 53 writes it."""
    plain = name.lower().rstrip(".") + "."
    return re.sub(r"[^a-z0-9._\\-]", lambda found: f"\\{ord(found[0]):03o}", plain)


@functools.cache
def order(name):
    """Labels from the right, each with its dot."""
    return ".".join(reversed(escaped(name)[:-1].split("."))) + "."


def record_set(record):
    """A record of the tests as moto holds it."""
    identifier = record.get("identifier")
    return {
        "Name": escaped(record["name"]),
        "Type": record["type"],
        "TTL": None if "alias" in record else record.get("ttl", 300),
        "ResourceRecords": record.get("values", []),
        "SetIdentifier": identifier,
        "Weight": record.get("weight", 1) if identifier else None,
        "AliasTarget": record.get("alias"),
    }


def edit_zone(account, id, records):
    zone = route53_backends[account]["aws"].zones[id]
    names = {escaped(record["name"]) for record in records}
    zone.rrsets = [held for held in zone.rrsets if escaped(held.name) not in names]
    for record in records:
        if record.get("values") or "alias" in record:
            zone.add_rrset(record_set(record))


def put_zones(account, zones):
    held = route53_backends[account]["aws"].zones
    for zone in zones:
        name = escaped(zone["name"])
        is_private = zone.get("private", False)
        servers = [] if is_private else [DelegationSet("peer", zone.get("servers"), None)]
        held[zone["id"]] = made = FakeZone(name, zone["id"], is_private, "peer", None, *servers)
        for record in zone.get("records", []):
            made.add_rrset(record_set(record))
        for number in range(zone.get("fill", 0)):
            record = {"Name": f"h{number:06}.{name}", "Type": "A", "TTL": 300, "ResourceRecords": ["192.0.2.1"]}
            made.add_rrset(record)


def shown_zone(zone):
    return {
        "Id": zone.id,
        "Name": zone.name,
        "CallerReference": zone.caller_reference,
        "Config": {"PrivateZone": zone.private_zone},
        "ResourceRecordSetCount": len(zone.rrsets),
    }


def list_hosted_zones_by_name(self):
    name, start_id = self._get_param("DNSName"), self._get_param("HostedZoneId")
    size = ZONES_A_PAGE.get(self.current_account) or self._get_int_param("MaxItems", 100)
    start = (order(name) if name else "", start_id or "")
    held = sorted(self.backend.zones.values(), key=lambda zone: (order(zone.name), zone.resource_id))
    held = [zone for zone in held if (order(zone.name), zone.resource_id) >= start]
    told = {
        "HostedZones": [shown_zone(zone) for zone in held[:size]],
        "DNSName": name,
        "HostedZoneId": start_id,
        "IsTruncated": len(held) > size,
        "MaxItems": size,
    }
    if len(held) > size:
        told |= {"NextDNSName": held[size].name, "NextHostedZoneId": held[size].resource_id}
    return ActionResult(told)


def place_of(record):
    return (order(record.name), record.type, record.set_identifier or "")


def list_resource_record_sets(self):
    name, kind = self._get_param("StartRecordName"), self._get_param("StartRecordType")
    identifier = self._get_param("StartRecordIdentifier")
    if (kind and not name) or (identifier and not kind):
        raise InvalidInput("The input is not valid")
    size = min(self._get_int_param("MaxItems", 300), 300)
    start = (order(name) if name else "", kind or "", identifier or "")
    held = sorted(self.backend.get_hosted_zone(self._get_param("HostedZoneId")).rrsets, key=place_of)
    held = [record for record in held if place_of(record) >= start]
    told = {
        "ResourceRecordSets": [
            {
                "Name": record.name,
                "Type": record.type,
                "TTL": record.ttl,
                "SetIdentifier": record.set_identifier,
                "Weight": record.weight,
                "ResourceRecords": record.resource_records,
                "AliasTarget": record.alias_target,
            }
            for record in held[:size]
        ],
        "IsTruncated": len(held) > size,
        "MaxItems": size,
    }
    if len(held) > size:
        following = held[size]
        told |= {"NextRecordName": following.name, "NextRecordType": following.type}
        if following.set_identifier:
            told["NextRecordIdentifier"] = following.set_identifier
    return ActionResult(told)


# Changes, which are made all or not at all, and state what they change.


class Refused(ServiceException):
    def __init__(self, code, message):
        super().__init__(code, message)


def plain(value):
    """A value by which it is compared: names don't mind their last dot."""
    return value if value.startswith('"') else value.rstrip(".").lower()


def key_of(record):
    return (escaped(record.name), record.type, record.set_identifier)


def statement(record):
    """All that a deletion must state."""
    return (
        key_of(record),
        int(record.ttl) if record.ttl is not None else None,
        int(record.weight) if record.weight is not None else None,
        sorted(plain(value) for value in record.records or []),
        record.alias_target,
    )


def made_change(asked):
    told = dict(asked["ResourceRecordSet"])
    told["Name"] = escaped(told["Name"])
    told["ResourceRecords"] = [each["Value"] for each in told.get("ResourceRecords") or []]
    return asked["Action"], RecordSet(told)


def why_not(zone, held, action, record):
    """Why a single change of a batch can't be made; none if it can."""
    what = f"resource record set [name='{record.name}', type='{record.type}']"
    same = [each for each in held if key_of(each) == key_of(record)]
    if not (record.name == zone.name or record.name.endswith("." + zone.name)):
        return f"RRSet with DNS name {record.name} is not permitted in zone {zone.name}"
    if action == "DELETE":
        if not same:
            return f"Tried to delete {what} but it was not found"
        if statement(same[0]) != statement(record):
            return f"Tried to delete {what} but the values provided do not match the current values"
        return None
    if action == "CREATE" and same:
        return f"Tried to create {what} but it already exists"
    if not record.alias_target and (record.ttl is None or not record.records):
        return f"{what} has no values or no TTL"
    if record.type == "TXT":
        for value in record.records:
            if not re.fullmatch(r'"([^"\\]|\\.){0,1020}"(\s+"([^"\\]|\\.){0,1020}")*', value):
                return f"InvalidCharacterString (Value should be enclosed in quotation marks) encountered with {value}"
            for text in re.findall(r'"((?:[^"\\]|\\.)*)"', value):
                if len(re.sub(r"\\([0-3][0-7]{2}|.)", "x", text)) > 255:
                    return "CharacterStringTooLong (Value is too long) encountered"
    others = [each for each in held if each.name == record.name and key_of(each) != key_of(record)]
    if any((each.type == "CNAME") != (record.type == "CNAME") for each in others):
        return f"RRSet of type {record.type} with DNS name {record.name} is not permitted beside a CNAME"
    if any(each.type == record.type and bool(each.set_identifier) != bool(record.set_identifier) for each in others):
        return f"RRSet with DNS name {record.name} is simple, or has a set identifier, and not both"
    return None


def is_pending(change):
    return change["asks"] > 0 or time.monotonic() < change["until"]


def change_resource_record_sets(self):
    with LOCK:
        account, id = self.current_account, self._get_param("HostedZoneId")
        zone, rules = self.backend.get_hosted_zone(id), CHANGING.get(account, {})
        if rules.get("one_at_a_time") and any(
            each["zone"] == zone.resource_id and is_pending(each) for each in CHANGES[account]
        ):
            raise Refused("PriorRequestNotComplete", "The request was rejected because Route 53 was still processing")
        batch = self._get_param("ChangeBatch")
        held, made = list(zone.rrsets), [made_change(asked) for asked in batch["Changes"]]
        for action, record in made:
            if why := why_not(zone, held, action, record):
                raise Refused("InvalidChangeBatch", f"[{why}]")
            held = [each for each in held if key_of(each) != key_of(record)]
            if action != "DELETE":
                held.append(record)
        zone.rrsets = held
        change = {
            "id": "C" + uuid.uuid4().hex[:20].upper(),
            "zone": zone.resource_id,
            "comment": batch.get("Comment"),
            "until": time.monotonic() + rules.get("sync_after", 0),
            "asks": rules.get("sync_asks", 0),
            "changes": [
                {
                    "action": action,
                    "name": record.name,
                    "type": record.type,
                    "ttl": record.ttl,
                    "identifier": record.set_identifier,
                    "weight": record.weight,
                    "values": record.records,
                }
                for action, record in made
            ],
        }
        CHANGES[account].append(change)
        return ActionResult({"ChangeInfo": shown_change(change)})


def shown_change(change):
    status = "PENDING" if is_pending(change) else "INSYNC"
    return {"Id": f"/change/{change['id']}", "Status": status, "SubmittedAt": datetime.now(timezone.utc)}


def get_change(self):
    with LOCK:
        id = self._get_param("Id").rsplit("/", 1)[-1]
        for change in CHANGES[self.current_account]:
            if change["id"] == id:
                shown = shown_change(change)
                change["asks"] = max(0, change["asks"] - 1)
                return ActionResult({"ChangeInfo": shown})
        raise Refused("NoSuchChange", f"A change with id {id} does not exist.")


def decimal_escapes(text):
    """A text of Route 53, whose escapes are octal, as a zone file has it."""
    return re.sub(r"\\([0-3][0-7]{2})", lambda found: f"\\{int(found[1], 8):03}", text)


def zone_file(account, id):
    zone = route53_backends[account]["aws"].zones[id]
    servers = [f"{name.rstrip('.')}." for name in (zone.delegation_set.name_servers if zone.delegation_set else [])]
    first = servers[0] if servers else "ns1.example."
    serial = len([change for change in CHANGES[account] if change["zone"] == id]) + 1
    lines, seen = [], set()
    kinds = {(record.name, record.type) for record in zone.rrsets}
    if (zone.name, "SOA") not in kinds:
        lines.append(f"{zone.name} 900 IN SOA {first} hostmaster.{zone.name} {serial} 7200 900 1209600 86400")
    if (zone.name, "NS") not in kinds:
        lines += [f"{zone.name} 300 IN NS {server}" for server in servers or [first]]
    for record in sorted(zone.rrsets, key=place_of):
        if record.alias_target or (record.name, record.type) in seen:
            continue
        seen.add((record.name, record.type))
        for value in record.records:
            if record.type in ("CNAME", "NS", "PTR"):
                value = re.sub(r"[^A-Za-z0-9._*\\-]", lambda found: f"\\{ord(found[0]):03o}", value)
            if record.type in ("CNAME", "NS", "PTR", "MX"):
                value = value.rstrip(".") + "."
            lines.append(f"{decimal_escapes(record.name)} {record.ttl} IN {record.type} {decimal_escapes(value)}")
    return "\n".join(lines) + "\n"


Route53.change_resource_record_sets = change_resource_record_sets
Route53.get_change = get_change
Route53.list_hosted_zones_by_name = list_hosted_zones_by_name
Route53.list_resource_record_sets = list_resource_record_sets


# CloudTrail, which moto lacks.

HISTORY = timedelta(days=90)


def put_events(account, region, events):
    now = datetime.now(timezone.utc)
    held = EVENTS[account, region]
    for number, event in enumerate(events):
        resources, text = event.pop("resources", []), event.pop("text", None)
        time_of_call = (now - timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
        record = {"eventID": str(uuid.uuid4()), "eventTime": time_of_call, "awsRegion": region} | event
        held.append((record, resources, json.dumps(record) if text is None else text))
    held.sort(key=lambda event: event[0]["eventTime"], reverse=True)


def has_attribute(event, attribute):
    record, resources, _ = event
    key, value = attribute["AttributeKey"], attribute["AttributeValue"]
    if key == "ResourceName":
        return value in resources
    fields = {"EventId": "eventID", "EventName": "eventName", "EventSource": "eventSource"}
    return record.get(fields[key]) == value


def lookup_events(self):
    asked = json.loads(self.body)
    attributes = asked.get("LookupAttributes", [])
    if len(attributes) > 1 or asked.get("MaxResults", 50) > 50:
        raise ValueError("CloudTrail would refuse this")
    now = time.time()
    earliest = max(asked.get("StartTime", 0), now - HISTORY.total_seconds())
    found = []
    for event in EVENTS[self.current_account, self.region]:
        at = datetime.fromisoformat(event[0]["eventTime"]).timestamp()
        in_time = earliest <= at <= asked.get("EndTime", now + 1)
        if in_time and all(has_attribute(event, attribute) for attribute in attributes):
            found.append((at, event))
    start, size = int(asked.get("NextToken") or 0), asked.get("MaxResults", 50)
    told = {
        "Events": [
            {
                "EventId": record["eventID"],
                "EventName": record.get("eventName"),
                "EventSource": record.get("eventSource"),
                "EventTime": at,
                "Resources": [{"ResourceName": name} for name in resources],
                "CloudTrailEvent": text,
            }
            for at, (record, resources, text) in found[start : start + size]
        ]
    }
    if start + size < len(found):
        told["NextToken"] = str(start + size)
    return json.dumps(told)


CloudTrailResponse.lookup_events = lookup_events


# SNS, as moto has it.


def messages(topic):
    _, _, _, region, account, _ = topic.split(":")
    sent = sns_backends[account][region].topics[topic].sent_notifications
    values = lambda attributes: {name: each["Value"] for name, each in (attributes or {}).items()}
    return [
        {"message": message, "subject": subject, "attributes": values(attributes)}
        for _, message, subject, attributes, _ in sent
    ]


# What stands before AWS: the log, the limits, the faults.


class Call:
    """A call to AWS, as far as its address, its signature and its form tell."""

    def __init__(self, environ, body):
        signed = re.search(r"Credential=([^/]+)/[^/]+/([^/]+)/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
        key, self.region, self.service = signed.groups() if signed else ("", "", "")
        self.account = account_of(key)
        path, query = environ["PATH_INFO"], parse_qs(environ.get("QUERY_STRING", ""))
        self.is_json = path.startswith("/v2/") or "HTTP_X_AMZ_TARGET" in environ
        self.names = []
        if "HTTP_X_AMZ_TARGET" in environ:
            self.operation = environ["HTTP_X_AMZ_TARGET"].rsplit(".", 1)[-1]
            self.names = [each["AttributeValue"] for each in json.loads(body).get("LookupAttributes", [])]
        elif path.startswith("/2013-04-01/"):
            if path.endswith("/hostedzonesbyname"):
                self.operation, self.names = "ListHostedZonesByName", query.get("dnsname", [])
            elif found := re.fullmatch(r"/2013-04-01/hostedzone/([^/]+)(/rrset/?)?", path):
                operations = {("GET", True): "ListResourceRecordSets", ("GET", False): "GetHostedZone"}
                operations["POST", True] = "ChangeResourceRecordSets"
                self.operation = operations.get((environ["REQUEST_METHOD"], bool(found[2])), "other")
                changed = re.findall(r"<Name>([^<]*)</Name>", body.decode())
                self.names = [found[1], *query.get("name", []), *dict.fromkeys(changed)]
            elif path.startswith("/2013-04-01/change/") and environ["REQUEST_METHOD"] == "GET":
                self.operation, self.names = "GetChange", [path.rsplit("/", 1)[-1]]
            else:
                self.operation = "other"
        elif self.is_json:
            if path.endswith("/list-identities"):
                self.operation = "ListEmailIdentities"
            elif found := re.fullmatch(r"/v2/email/identities/([^/]+)", path):
                self.operation = {"GET": "GetEmailIdentity"}.get(environ["REQUEST_METHOD"], "other")
                self.names = [unquote(found[1])]
            elif found := re.fullmatch(r"/v2/email/identities/([^/]+)/dkim/signing", path):
                operations = {"PUT": "PutEmailIdentityDkimSigningAttributes"}
                self.operation = operations.get(environ["REQUEST_METHOD"], "other")
                self.names = [unquote(found[1])]
            elif path == "/v2/email/outbound-emails":
                self.operation, asked = "SendEmail", json.loads(body)
                self.names = [asked["FromEmailAddress"], *asked.get("ReplyToAddresses", [])]
            else:
                self.operation = "other"
        else:
            form = parse_qs(body.decode())
            self.operation = form.get("Action", ["other"])[0]
            self.names = [values[0] for key, values in form.items() if key.startswith("Identities.")]

    def next_fault(self):
        for fault in FAULTS[self.account]:
            if (
                fault["operation"] in (self.operation, "*")
                and fault.get("region", self.region) == self.region
                and ("name" not in fault or fault["name"] in self.names)
                and fault.get("times", 1) > 0
            ):
                if fault.get("skip", 0) > 0:
                    fault["skip"] -= 1
                    continue
                if "times" in fault:
                    fault["times"] -= 1
                return fault
        return None

    def is_too_soon(self):
        if (self.account, self.service) not in LIMITS:
            return False
        rate, burst = LIMITS[self.account, self.service]
        place, now = (self.account, self.service, self.region), time.monotonic()
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


TOO_SOON = {
    "ses": (429, "TooManyRequestsException", "Maximum sending rate exceeded."),
    "route53": (400, "Throttling", "Rate exceeded"),
    "cloudtrail": (400, "ThrottlingException", "Rate exceeded"),
}


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
            entry = {
                "operation": call.operation,
                "region": call.region,
                "account": call.account,
                "at": time.time(),
                "outcome": outcome,
                "names": call.names,
                "held": False,
            }
            CALLS.append(entry)
        if is_too_soon:
            return call.error(start_response, *TOO_SOON[call.service])
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
        if "edit" in fault:
            with LOCK:
                edit_zone(call.account, fault["edit"]["id"], fault["edit"]["records"])
        if fault.get("drop") == "when done":
            list(aws(environ, lambda *_: None))
            drop(environ)
        if "hold" in fault:
            answered = list(aws(environ, start_response))
            entry["held"] = True
            time.sleep(fault["hold"])
            return answered
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
        elif what == "zones":
            put_zones(asked["account"], asked["zones"])
            ZONES_A_PAGE[asked["account"]] = asked.get("page")
        elif what == "edit":
            edit_zone(asked["account"], asked["id"], asked["records"])
        elif what == "changes" and environ["REQUEST_METHOD"] == "POST":
            CHANGING[asked["account"]] = asked
        elif what == "changes":
            told = CHANGES[parse_qs(environ["QUERY_STRING"])["account"][0]]
        elif what == "zonefile":
            query = parse_qs(environ["QUERY_STRING"])
            told = zone_file(query["account"][0], query["id"][0])
        elif what == "zonefiles":
            told = [zone_file(zone["account"], zone["id"]) for zone in asked["zones"]]
        elif what == "restarts":
            RESTARTS[asked["account"], asked["region"], asked["name"]] = asked
        elif what == "verify":
            told_of = [asked[field] for field in ("account", "region", "name", "servers")]
            told_of += [asked.get("after", 0), asked.get("key")]
            threading.Thread(target=verify, args=told_of, daemon=True).start()
        elif what == "events":
            put_events(asked["account"], asked["region"], asked["events"])
        elif what == "faults":
            FAULTS[asked["account"]].append(asked)
        elif what == "heal":
            FAULTS[asked["account"]].clear()
        elif what == "limits":
            LIMITS[asked["account"], asked.get("service", "ses")] = (asked["rate"], asked["burst"])
        elif what == "topics":
            told = sns_backends[asked["account"]][asked["region"]].create_topic(asked["name"]).arn
        elif what == "messages":
            told = messages(parse_qs(environ["QUERY_STRING"])["topic"][0])
        elif what == "sent":
            told = SENT[parse_qs(environ["QUERY_STRING"])["account"][0]]
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
