"""The stack itself: what `make up` promises, and that what is deployed is locked down, watched and recoverable."""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
import uuid

import boto3
import botocore.config
import botocore.exceptions
import pytest
import requests

from axle import deploy, processes, say, server, tenant as tenants
from axle.stack import REGION, ROOT, TEMPLATE, VENV, Stack

linux_only = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks into /proc")


# -------------------------------------------------------------------- make up, make down

def test_a_second_up_updates_in_place(stack, aws):
    marker = {"pk": {"S": f"test#{uuid.uuid4()}"}, "sk": {"S": "marker"}}
    aws("dynamodb").put_item(TableName=stack.outputs["TableName"], Item=marker)
    (stack.state_dir / "deployed").unlink(missing_ok=True)

    deploy.deploy(stack.local)

    assert deploy.outputs(stack.local) == stack.outputs
    assert aws("dynamodb").get_item(TableName=stack.outputs["TableName"], Key=marker)["Item"] == marker
    assert tenants.ensure_demo(stack.local, stack.pid)["api_key"] == stack.api_key
    started = time.monotonic()
    deploy.deploy(stack.local)
    assert time.monotonic() - started < 5, "nothing changed, so there is nothing to deploy"
    aws("dynamodb").delete_item(TableName=stack.outputs["TableName"], Key=marker)


def axle(tmp_path, *arguments, **environment):
    """The command line behind the Makefile, with a state directory of its own."""
    return subprocess.run([sys.executable, "-m", "axle", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL,
                          env=os.environ | {"PYTHONPATH": "infra/local", "AXLE_LOCAL": str(tmp_path)} | environment)


def test_an_occupied_port_ends_with_one_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = axle(tmp_path, "up", AXLE_PORT=str(port))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"axle: Port {port} is taken by another program: stop that, or choose another port with AXLE_PORT=<port>."]


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_port_that_is_none_ends_with_one_sentence(tmp_path, port):
    done = axle(tmp_path, "up", AXLE_PORT=port)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "AXLE_PORT" in done.stderr


@pytest.mark.parametrize("command", ["key", "logs"])
def test_commands_that_need_a_stack_say_so(tmp_path, command):
    done = axle(tmp_path, command)
    assert done.returncode == 1
    assert done.stderr.strip() == "axle: The stack is not running: start it with 'make up'."


def test_down_without_a_stack_is_no_error(tmp_path):
    assert axle(tmp_path, "down").returncode == 0


def test_a_failed_deployment_ends_with_one_sentence(stack, tmp_path, monkeypatch):
    broken = tmp_path / "template.yaml"
    broken.write_text("Resources: {Broken: {Type: 'AWS::SQS::Queue', Properties: {RedrivePolicy: {deadLetterTargetArn: none}}}}")
    monkeypatch.setattr(deploy, "TEMPLATE", broken)
    elsewhere = Stack("axle-broken", stack.port, tmp_path, tmp_path / "stack.json")
    with pytest.raises(say.StackError) as raised:
        deploy.deploy(elsewhere)
    message = str(raised.value)
    assert message.startswith("The deployment failed: Broken (AWS::SQS::Queue): ") and "\n" not in message
    assert str(elsewhere.deploy_log_path) in message


def missing(tmp_path, *present):
    """venv.sh in a copy of the project, with only these commands to be found."""
    project, commands = tmp_path / "project", tmp_path / "bin"
    (project / "infra" / "local").mkdir(parents=True)
    for name in ("venv.sh", "requirements.txt"):
        (project / "infra" / "local" / name).write_text((ROOT / "infra/local" / name).read_text())
    commands.mkdir()
    for name in ("dirname", "cmp", "mkdir", *present):
        found = subprocess.run(["sh", "-c", f"command -v {name}"], capture_output=True, text=True).stdout.strip()
        (commands / name).symlink_to(found)
    return subprocess.run(["/bin/sh", str(project / "infra/local/venv.sh")], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, env={"PATH": str(commands), "HOME": os.environ.get("HOME", "/")})


def test_a_missing_prerequisite_ends_with_one_sentence(tmp_path):
    without_rust = missing(tmp_path / "a", "sed")
    assert without_rust.returncode != 0
    assert without_rust.stderr.startswith("axle: Rust is missing") and len(without_rust.stderr.splitlines()) == 1
    without_python = missing(tmp_path / "b", "cargo")
    assert without_python.returncode != 0
    assert "Python 3.10 or newer is missing" in without_python.stderr and len(without_python.stderr.splitlines()) == 1


@linux_only
def test_only_loopback_listens(stack):
    """MiniStack, and the runtime API servers that it opens for functions."""
    sockets = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for row in pathlib.Path(table).read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == "0A":  # listening
                sockets[f"socket:[{fields[9]}]"] = fields[1].rpartition(":")[0]
    held = {os.readlink(fd) for fd in pathlib.Path(f"/proc/{stack.pid}/fd").iterdir() if fd.is_symlink()}
    listening = {address for inode, address in sockets.items() if inode in held}
    assert listening == {"0100007F"}, "127.0.0.1 in the kernel's spelling"


def test_a_killed_run_leaves_no_ministack(tmp_path, until):
    script = ("import pathlib, sys; from axle import server; from axle.stack import Stack\n"
              f"stack = Stack('axle-killed', server.free_port(), pathlib.Path({str(tmp_path / 'state')!r}), pathlib.Path('/dev/null'))\n"
              "print(server.start(stack, with_parent=True).pid, flush=True); sys.stdin.read()")
    run = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                           cwd=ROOT, env=os.environ | {"PYTHONPATH": "infra/local"})
    started = Stack("axle-killed", 0, tmp_path / "state", tmp_path / "stack.json")
    assert int(run.stdout.readline()) == server.running_pid(started)
    run.kill()
    run.wait()
    until(lambda: server.running_pid(started) is None, "MiniStack's end after its parent was killed", seconds=10)


# -------------------------------------------------------------------- the template

def test_sam_accepts_the_template(tmp_path):
    sam = str(VENV / "bin" / "sam")
    environment = os.environ | {"SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": REGION}
    for command in ([sam, "validate", "--lint", "--template", str(TEMPLATE)],
                    [sam, "build", "--template", str(TEMPLATE), "--build-dir", str(tmp_path / "build"), "--cached",
                     "--cache-dir", str(tmp_path / "cache")]):
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "build" / "template.yaml").is_file()


@pytest.fixture(scope="module")
def functions(stack, aws):
    """Configuration of every deployed function by its crate's name."""
    pages = aws("lambda").get_paginator("list_functions").paginate()
    prefix = f"{stack.name}-"
    return {found["FunctionName"].removeprefix(prefix): found
            for page in pages for found in page["Functions"] if found["FunctionName"].startswith(prefix)}


def test_every_function_crate_is_deployed(functions):
    crates = {path.parent.name for path in (ROOT / "functions").glob("*/Cargo.toml")} - {"noop"}
    assert set(functions) == crates


def test_every_function_is_linked_at_a_fixed_address(functions):
    """A position-independent one starts half again as slowly: infra/link.rs, which a new function's Cargo.toml has to name."""
    fixed = (2).to_bytes(2, "little")  # ET_EXEC
    slow = [name for name in functions if (ROOT / "target/lambda" / name / "bootstrap").read_bytes()[16:18] != fixed]
    assert not slow, "name build = \"../../infra/link.rs\" in their Cargo.toml"


def test_every_function_has_a_role_of_its_own(functions):
    roles = [function["Role"] for function in functions.values()]
    assert len(set(roles)) == len(roles)


def statements(aws, role_arn):
    iam, role = aws("iam"), role_arn.rpartition("/")[2]
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        yield from iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]["Statement"]


def as_list(value):
    return value if isinstance(value, list) else [value]


def test_policies_name_actions_and_resources(functions, aws):
    for name, function in functions.items():
        role = function["Role"].rpartition("/")[2]
        managed = aws("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        assert [policy["PolicyName"] for policy in managed] == ["AWSLambdaBasicExecutionRole"], f"{name}: logs, nothing else"
        for statement in statements(aws, function["Role"]):
            actions, resources = as_list(statement["Action"]), as_list(statement["Resource"])
            assert not [action for action in actions if "*" in action], f"{name}: {statement}"
            if actions not in (["dynamodb:ListStreams"], ["sns:Publish"], ["ses:SendEmail"]):  # know no narrower resource, or locally
                assert all(re.match(r"arn:aws:[a-z0-9]+:[^:]*:[^:]*:[^*]+", resource) for resource in resources), f"{name}: {statement}"


# What a function must not be able to do, though another one may: (function, service, operation, arguments from the outputs).
FOREIGN = [
    ("docs", "dynamodb", "get_item", lambda o: {"TableName": o["TableName"], "Key": {"pk": {"S": "x"}, "sk": {"S": "x"}}}),
    ("insights", "dynamodb", "scan", lambda o: {"TableName": o["TableName"]}),
    ("identity", "s3", "get_object", lambda o: {"Bucket": o["BucketName"], "Key": "imports/x"}),
    ("leads", "dynamodb", "scan", lambda o: {"TableName": o["TableName"]}),
    ("leads", "sqs", "send_message", lambda o: {"QueueUrl": o["ImportQueueUrl"], "MessageBody": "x"}),
    ("campaigns", "s3", "put_object", lambda o: {"Bucket": o["BucketName"], "Key": "uploads/x", "Body": b""}),
    ("webhooks", "sqs", "receive_message", lambda o: {"QueueUrl": o["DeliverQueueUrl"]}),
    ("event-relay", "dynamodb", "get_item", lambda o: {"TableName": o["TableName"], "Key": {"pk": {"S": "x"}, "sk": {"S": "x"}}}),
    ("import-worker", "s3", "put_object", lambda o: {"Bucket": o["BucketName"], "Key": "uploads/x", "Body": b""}),
    ("webhook-dispatcher", "sqs", "send_message", lambda o: {"QueueUrl": o["DeliverQueueUrl"], "MessageBody": "x"}),
    ("webhook-deliverer", "dynamodb", "query", lambda o: {
        "TableName": o["TableName"], "KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "x"}}}),
    ("outbox-sender", "sns", "publish", lambda o: {"TopicArn": o["MailTopicArn"], "Message": "x"}),  # though it may publish SMS
    ("scheduler", "dynamodb", "delete_item", lambda o: {"TableName": o["TableName"], "Key": {"pk": {"S": "x"}, "sk": {"S": "x"}}}),
]


def role_client(stack, aws, until, function: str, service: str):
    """A client with the credentials that a running process of the function was given."""
    aws("lambda").invoke(FunctionName=stack.local.function_name(function), Payload=json.dumps({"Records": []}))
    pid = until(lambda: processes.of_function(stack.local, function), f"a process of {function}")[0]
    pairs = pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    environment = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    session = boto3.session.Session(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"],
                                    environment["AWS_SESSION_TOKEN"], region_name=REGION)
    return session.client(service, endpoint_url=stack.endpoint_url, config=botocore.config.Config(
        proxies={}, s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}))


@linux_only
@pytest.mark.parametrize(("function", "service", "operation", "arguments"), FOREIGN, ids=[f"{f}-{o}" for f, _, o, _ in FOREIGN])
def test_a_function_is_denied_what_its_policy_leaves_out(stack, aws, until, function, service, operation, arguments):
    client = role_client(stack, aws, until, function, service)
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        getattr(client, operation)(**arguments(stack.outputs))
    assert raised.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException", "AuthorizationError")


@linux_only
def test_a_function_is_granted_what_its_policy_holds(stack, aws, until):
    """Without this the denials above could have any cause."""
    client = role_client(stack, aws, until, "insights", "dynamodb")
    assert "Item" not in client.get_item(TableName=stack.outputs["TableName"], Key={"pk": {"S": "none"}, "sk": {"S": "none"}})


# -------------------------------------------------------------------- queues, alarms, schedule

@pytest.fixture(scope="module")
def queues(stack, aws):
    """Attributes of every queue of the stack by its ARN."""
    urls = aws("sqs").list_queues(QueueNamePrefix=f"{stack.name}-").get("QueueUrls", [])
    found = [aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"] for url in urls]
    return {attributes["QueueArn"]: attributes for attributes in found}


@pytest.fixture(scope="module")
def mappings(functions, aws):
    found = aws("lambda").list_event_source_mappings()["EventSourceMappings"]
    arns = {function["FunctionArn"] for function in functions.values()}
    return [mapping for mapping in found if mapping["FunctionArn"] in arns]


def schedules(stack, aws):
    """Of this stack, told by the function that they call."""
    scheduler = aws("scheduler")
    for found in scheduler.list_schedules()["Schedules"]:
        schedule = scheduler.get_schedule(Name=found["Name"], GroupName=found["GroupName"])
        if schedule["Target"]["Arn"].rpartition(":")[2].startswith(f"{stack.name}-"):
            yield schedule


def test_every_queue_has_a_dead_letter_queue(stack, aws, queues, mappings):
    last_resorts = {mapping["DestinationConfig"]["OnFailure"]["Destination"] for mapping in mappings if mapping.get("DestinationConfig")}
    last_resorts |= {schedule["Target"]["DeadLetterConfig"]["Arn"] for schedule in schedules(stack, aws)}
    redrives = {arn: json.loads(queue["RedrivePolicy"]) for arn, queue in queues.items() if "RedrivePolicy" in queue}
    last_resorts |= {redrive["deadLetterTargetArn"] for redrive in redrives.values()}
    assert set(queues) == set(redrives) | last_resorts
    assert last_resorts <= set(queues)
    assert all(int(redrive["maxReceiveCount"]) == 5 for redrive in redrives.values())


@pytest.fixture(scope="module")
def alarms(stack, aws):
    """Of this stack, by the name that the monitoring template gives them."""
    cloudformation = aws("cloudformation")
    nested = cloudformation.describe_stack_resource(StackName=stack.name, LogicalResourceId="Monitoring")["StackResourceDetail"]
    resources = cloudformation.list_stack_resources(StackName=nested["PhysicalResourceId"])["StackResourceSummaries"]
    names = {resource["PhysicalResourceId"]: resource["LogicalResourceId"] for resource in resources}
    pages = aws("cloudwatch").get_paginator("describe_alarms").paginate()
    return {names[alarm["AlarmName"]]: alarm for page in pages for alarm in page["MetricAlarms"] if alarm["AlarmName"] in names}


def test_every_queue_is_encrypted_and_watched(alarms, queues):
    watched = {dimension["Value"] for alarm in alarms.values()
               for dimension in alarm["Dimensions"] if dimension["Name"] == "QueueName"}
    for arn, queue in queues.items():
        assert arn.rpartition(":")[2] in watched, f"{arn} has no alarm"
        assert queue["SqsManagedSseEnabled"] == "true", arn
    assert watched <= {arn.rpartition(":")[2] for arn in queues}, "alarms on queues that there are not"


def test_what_callers_and_receivers_notice_is_watched(stack, alarms):
    seen = {name: (alarm["Namespace"], alarm["MetricName"], {d["Name"]: d["Value"] for d in alarm["Dimensions"]})
            for name, alarm in alarms.items() if not name.endswith(("DlqAlarm", "BacklogAlarm"))}
    assert seen == {
        "ApiErrorsAlarm": ("AWS/ApiGateway", "5xx", {"ApiId": stack.outputs["ApiId"]}),
        "WebhookFailuresAlarm": ("Axle", "WebhookFailed", {"Stack": stack.name}),
        "WebhookDeadAlarm": ("Axle", "WebhookDead", {"Stack": stack.name}),
        "MessageFailuresAlarm": ("Axle", "MessageFailed", {"Stack": stack.name}),
        "SchedulerAlarm": ("AWS/Lambda", "Errors", {"FunctionName": stack.local.function_name("scheduler")}),
    }
    assert all(alarm["TreatMissingData"] == "notBreaching" for alarm in alarms.values()), "an idle stack is a healthy one"


def test_the_dashboard_shows_every_alarm(stack, aws, alarms):
    dashboard = json.loads(aws("cloudwatch").get_dashboard(DashboardName=f"{stack.name}-{REGION}")["DashboardBody"])
    [shown] = [widget["properties"]["alarms"] for widget in dashboard["widgets"] if widget["type"] == "alarm"]
    assert sorted(shown) == sorted(alarm["AlarmArn"] for alarm in alarms.values())
    assert "${" not in json.dumps(dashboard), "a name that nothing stands for"


def test_a_message_is_not_handed_out_twice_while_a_worker_has_it(queues, mappings, functions):
    timeouts = {function["FunctionArn"]: function["Timeout"] for function in functions.values()}
    fed = [mapping for mapping in mappings if mapping["EventSourceArn"] in queues]
    assert len(fed) == 7
    for mapping in fed:
        visibility = int(queues[mapping["EventSourceArn"]]["VisibilityTimeout"])
        assert visibility >= 6 * timeouts[mapping["FunctionArn"]], mapping["FunctionArn"]


def test_every_trigger_takes_partial_failures(mappings):
    assert len(mappings) == 9
    for mapping in mappings:
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"], mapping["EventSourceArn"]


def test_the_scheduler_runs_each_minute(stack, aws):
    found = list(schedules(stack, aws))
    assert [schedule["Name"] for schedule in found] == [f"{stack.name}-each-minute"], "another stack's has another name"
    assert [schedule["ScheduleExpression"] for schedule in found] == ["rate(1 minute)"]
    assert all(schedule["State"] == "ENABLED" for schedule in found)


def test_the_bucket_is_private_and_empties_itself(stack, aws):
    s3, bucket = aws("s3"), stack.outputs["BucketName"]
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    encryption = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert encryption["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    # MiniStack does not apply this one: read from the template that was deployed.
    template = aws("cloudformation").get_template(StackName=stack.name)["TemplateBody"]
    rules = {rule["Id"]: rule for rule in template["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]}
    assert (rules["uploads"]["Prefix"], rules["uploads"]["ExpirationInDays"]) == ("uploads/", 7)
    assert (rules["imports"]["Prefix"], rules["imports"]["ExpirationInDays"]) == ("imports/", 30)
    assert rules["unfinished"]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 1
    url = f"{stack.endpoint_url}/{bucket}/uploads/anonymous"
    assert requests.put(url, data=b"x", timeout=10).status_code == 403
    assert requests.get(url, timeout=10).status_code == 403


def test_a_presigned_upload_needs_no_credential(stack, aws):
    key = f"uploads/test/{uuid.uuid4()}"
    url = aws("s3").generate_presigned_url("put_object", Params={"Bucket": stack.outputs["BucketName"], "Key": key})
    assert requests.put(url, data=b"a,b\n1,2\n", timeout=10).status_code == 200
    assert aws("s3").get_object(Bucket=stack.outputs["BucketName"], Key=key)["Body"].read() == b"a,b\n1,2\n"


def test_logs_do_not_pile_up(stack, aws, functions):
    groups = {group["logGroupName"]: group for page in aws("logs").get_paginator("describe_log_groups").paginate()
              for group in page["logGroups"]}
    for name in functions:
        assert groups[f"/aws/lambda/{stack.local.function_name(name)}"]["retentionInDays"] == 30


@pytest.mark.last
def test_no_secret_is_in_any_log(stack, aws, function_logs, secrets_seen):
    """Runs after all other tests, over everything that they made the functions log."""
    logged = "\n".join(function_logs())
    assert "START RequestId" in logged
    for name in aws("secretsmanager").list_secrets()["SecretList"]:
        value = aws("secretsmanager").get_secret_value(SecretId=name["ARN"])["SecretString"]
        assert value not in logged, f"the value of {name['Name']} was logged"
    leaked = [secret[:8] for secret in secrets_seen | {stack.api_key} if secret in logged]
    assert not leaked, f"secrets were logged that begin with {leaked}"
