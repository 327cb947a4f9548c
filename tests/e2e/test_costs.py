"""The price list: its arithmetic, and that the README says what `make costs` prints. No stack is needed."""

import copy
import json

import pytest

from axle import costs, say


@pytest.fixture
def simple():
    """One operation on one function of 512 MB, and round prices."""
    template = {"Resources": {
        "Leads": {"Type": "AWS::Serverless::Function", "Properties": {"FunctionName": "${AWS::StackName}-leads", "MemorySize": 512}},
        "LeadsIntegration": {"Type": "AWS::ApiGatewayV2::Integration", "Properties": {"IntegrationUri": "Leads.Arn"}},
        "LeadsRoute": {"Type": "AWS::ApiGatewayV2::Route", "Properties": {
            "RouteKey": "ANY /leads/{proxy+}", "Target": "integrations/${LeadsIntegration}"}}}}
    prices = {"region": "r", "date": "d", "log_gb": 0.5, "assumed": {"network_ms": 20, "log_bytes": 1000, "function_ms": {}},
              "per_million": {"api_gateway_request": 1, "lambda_request": 0.2, "lambda_gb_second": 10, "dynamodb_read_unit": 0.125,
                              "dynamodb_write_unit": 0.625, "sqs_request": 0.4, "eventbridge_event": 1, "s3_put": 5, "s3_get": 0.4, "ses_message": 100}}
    return {
        "template": template, "prices": prices,
        "budgets": {"operations": {"getLead": {"read": 2, "write": 1}},
                    "workers": {"row": {"function": "leads", "share": 10, "read": 0, "write": 2, "unseen_write": 1, "sqs": 3, "text": "a row"}}},
        "measured": {"measured_at": 0, "machine": {"cpu": "c", "busy_before": 0},
                     "requests": [{"event": "GET /leads/{id}?x=1", "median_ms": 80.0}, {"event": "leads, 20 rows", "median_ms": 360.0}]},
        "document": {"paths": {"/leads/{id}": {"get": {"operationId": "getLead"}}}},
    }


def test_the_arithmetic(simple):
    [row] = costs.Costs(**simple).operations()
    # 100 ms at 0.5 GB are 0.05 GB-seconds.
    assert (row.gateway, row.compute, row.table, row.logs) == pytest.approx((1, 0.2 + 0.5, 0.25 + 0.625, 0.5))
    assert row.total == pytest.approx(1 + 0.7 + 0.875 + 0.5) and not row.estimated
    [step] = costs.Costs(**simple).steps()
    # A tenth of an invocation of 10 × 18 + 20 ms; the failed put is charged, too.
    assert (step.gateway, step.compute, step.table, step.other, step.logs) == pytest.approx((0, 0.12, 1.875, 1.2, 0.05))


def test_an_operation_like_it_stands_in_for_what_is_not_measured(simple):
    simple["document"]["paths"]["/leads/{id}"]["delete"] = {"operationId": "deleteLead"}
    simple["budgets"]["operations"]["deleteLead"] = {"read": 0, "write": 1}
    simple["measured"]["requests"].append({"event": "POST /leads", "median_ms": 5.0})
    delete = costs.Costs(**simple).operations()[1]
    assert (delete.milliseconds, delete.estimated) == (5.0, True)


def test_what_has_no_budget_has_no_price(simple):
    unpriced = copy.deepcopy(simple)
    del unpriced["budgets"]["operations"]["getLead"]
    with pytest.raises(say.StackError, match="getLead has no budget"):
        costs.Costs(**unpriced).operations()


def test_every_operation_has_a_price():
    document = json.loads(costs.OPENAPI.read_text())
    named = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    rows = costs.Costs().operations()
    assert [row.name for row in rows] == named
    assert all(row.total > 1.2 for row in rows), "the gateway and the invocation alone cost that"


def test_the_readme_says_what_make_costs_prints():
    assert costs.in_readme(costs.README.read_text()) == costs.Costs().text(), "run `make costs WRITE=1`"
