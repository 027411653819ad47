"""A stand-in for Amazon Lightsail, judged by Amazon's own client.

Owns three operations: parameters and answers must be as the model in botocore has them, and botocore computes
each signature anew. Refuses to be reached from elsewhere, and to be asked with any other secret.
`fake.py serve KEY SECRET REGION` prints its port; `fake.py check PORT KEY SECRET REGION` runs the official client.
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.session import Session
from botocore.validate import ParamValidator

MODEL = Session().get_service_model("lightsail")
PREFIX = MODEL.metadata["targetPrefix"] + "."


class Refused(Exception):
    def __init__(self, code, message, status=400):
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class World:
    def __init__(self, key, secret, region):
        self.key, self.secret, self.region = key, secret, region
        self.session = None
        self.instances = {}
        self.faults = []
        self.calls = []
        self.complaints = []

    def control(self, wish):
        for name, value in wish.items():
            setattr(self, name, value)
        return {"calls": self.calls, "complaints": self.complaints}


def enums(shape, value, place):
    """What the validator of the client leaves to the service: words that are none."""
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if name in value:
                yield from enums(member, value[name], f"{place}.{name}")
    elif shape.type_name == "list":
        for item in value:
            yield from enums(shape.member, item, place)
    elif shape.type_name == "string" and shape.enum and value not in shape.enum:
        yield f"{place}: {value!r} is not one of {shape.enum}"


def conforms(shape, value, what):
    report = ParamValidator().validate(value, shape)
    if report.has_errors():
        raise Refused("InvalidInputException", f"{what}: {report.generate_report()}")
    wrong = list(enums(shape, value, what))
    if wrong:
        raise Refused("InvalidInputException", "; ".join(wrong))


def verify(world, handler, body):
    given = handler.headers.get("authorization", "")
    if not given.startswith("AWS4-HMAC-SHA256 "):
        raise Refused("MissingAuthenticationTokenException", "Missing Authentication Token", 403)
    parts = dict(part.strip().split("=", 1) for part in given.split(" ", 1)[1].split(","))
    key, day, region, service, _ = parts["Credential"].split("/")
    if key != world.key:
        raise Refused("UnrecognizedClientException", "The security token included in the request is invalid.")
    token = handler.headers.get("x-amz-security-token")
    if token != world.session:
        raise Refused("ExpiredTokenException", "The security token included in the request is expired")
    if (region, service) != (world.region, MODEL.signing_name):
        message = f"Credential should be scoped to a valid region, {region}/{service} is none."
        raise Refused("InvalidSignatureException", message)
    signed = parts["SignedHeaders"].split(";")
    for needed in ("host", "x-amz-date", "content-type", "x-amz-target"):
        if needed not in signed:
            raise Refused("InvalidSignatureException", f"{needed} is not signed")
    headers = {name: handler.headers[name] for name in signed}
    url = f"http://{handler.headers['host']}{handler.path}"
    request = AWSRequest(method=handler.command, url=url, headers=headers, data=body)
    request.context["timestamp"] = handler.headers["x-amz-date"]
    auth = SigV4Auth(Credentials(world.key, world.secret), service, region)
    expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    if parts["Signature"] != expected:
        message = "The request signature we calculated does not match the signature you provided."
        raise Refused("InvalidSignatureException", message)
    stamp = time.strptime(handler.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
    import calendar
    if abs(calendar.timegm(stamp) - time.time()) > 300:
        raise Refused("InvalidSignatureException", f"Signature expired: {handler.headers['x-amz-date']} is old.")


def perform(world, operation, asked):
    name = asked["instanceName"]
    instance = world.instances.get(name)
    if instance is None:
        raise Refused("NotFoundException", f"The Instance does not exist: arn:aws:lightsail:{world.region}:1:{name}")
    if operation == "GetInstanceState":
        return {"state": {"code": 16, "name": instance["state"]}}
    if operation == "GetInstanceMetricData":
        points = instance["metrics"].get(asked["metricName"], [])
        now, wanted = time.time(), [word[0].lower() + word[1:] for word in asked["statistics"]]
        data = []
        for age, value in points:
            at = now - age
            if asked["startTime"] <= at <= asked["endTime"] + 1:
                point = {"timestamp": at, "unit": asked["unit"]}
                point.update({word: value for word in wanted})
                data.append(point)
        return {"metricName": asked["metricName"], "metricData": data}
    access = dict(instance["access"])
    return {"accessDetails": {"instanceName": name, "protocol": "ssh", "password": "", **access}}


class Handler(BaseHTTPRequestHandler):
    world = None

    def log_message(self, *_):
        pass

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/x-amz-json-1.1")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        world = self.world
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path == "/control":
            return self.answer(200, world.control(json.loads(body)))
        operation = self.headers.get("x-amz-target", "").removeprefix(PREFIX)
        world.calls.append(operation)
        try:
            if world.faults:
                raise Refused(*world.faults.pop(0))
            verify(world, self, body)
            model = MODEL.operation_model(operation)
            asked = json.loads(body)
            conforms(model.input_shape, asked, operation)
            told = perform(world, operation, asked)
            conforms(model.output_shape, told, "the stand-in's own answer")
            self.answer(200, told)
        except Refused as refused:
            if refused.code == "InvalidInputException":
                world.complaints.append(refused.message)
            self.answer(refused.status, {"__type": refused.code, "message": refused.message})


def serve(key, secret, region):
    Handler.world = World(key, secret, region)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def check(port, key, secret, region):
    """The official client must be answered so that it understands it."""
    from botocore.exceptions import ClientError

    def client(secret):
        session = Session()
        session.set_credentials(key, secret)
        url = f"http://127.0.0.1:{port}"
        return session.create_client("lightsail", region_name=region, endpoint_url=url)

    lightsail = client(secret)
    assert lightsail.get_instance_state(instanceName="web")["state"]["name"] == "running"
    window = {"startTime": time.time() - 600, "endTime": time.time()}
    data = lightsail.get_instance_metric_data(
        instanceName="web", metricName="CPUUtilization", period=300, unit="Percent",
        statistics=["Average"], **window)["metricData"]
    assert [point["average"] for point in data] == [12.5], data
    details = lightsail.get_instance_access_details(instanceName="web", protocol="ssh")["accessDetails"]
    assert details["username"] == "ec2-user" and details["expiresAt"].tzinfo, details
    for asked, code in [(lightsail, "NotFoundException"), (client("wrong"), "InvalidSignatureException")]:
        try:
            asked.get_instance_state(instanceName="gone")
            raise AssertionError(code)
        except ClientError as error:
            assert error.response["Error"]["Code"] == code, error.response
    print("ok")


if __name__ == "__main__":
    {"serve": serve, "check": check}[sys.argv[1]](*sys.argv[2:])
