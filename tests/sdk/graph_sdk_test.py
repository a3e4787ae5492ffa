"""An unmodified Microsoft Graph SDK and identity library against a real `riposte`.

Usage: graph_sdk_test.py PATH-TO-RIPOSTE. Prints one line a check that failed and, last,
`N passed, N failed`; the exit status is 1 when one failed.
"""

import asyncio
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import httpx
from azure.identity import ClientSecretCredential
from kiota_abstractions.api_error import APIError
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.security.alert_comment import AlertComment
from msgraph.generated.models.security.incident import Incident
from msgraph.generated.models.security.incident_status import IncidentStatus
from msgraph.generated.security.incidents.incidents_request_builder import IncidentsRequestBuilder
from msgraph_core import GraphClientFactory

SCOPE = "https://graph.microsoft.com/.default"
ALERTS = 30


def alert(number):
    """Alerts of one device each, so that each becomes an incident of its own."""
    return {
        "id": f"sdk-{number}",
        "title": f"Odd sign-in {number}",
        "severity": ("low", "medium", "high")[number % 3],
        "category": "InitialAccess",
        "createdDateTime": f"2026-11-20T10:{number:02}:00Z",
        "firstActivityDateTime": f"2026-11-20T10:{number:02}:00Z",
        "lastActivityDateTime": f"2026-11-20T10:{number:02}:30Z",
        "evidence": [
            {
                "@odata.type": "#microsoft.graph.security.deviceEvidence",
                "mdeDeviceId": f"{number:040x}",
                "deviceDnsName": f"desk-{number}.alderfreight.example",
            }
        ],
    }


class Checks:
    """Counts what held and what did not."""

    def __init__(self):
        self.passed = self.failed = 0

    def that(self, holds, what):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"failed: {what}")

    async def run(self, check, *args):
        try:
            await check(self, *args)
        except Exception:  # whatever a library raises, the other checks still run
            self.failed += 1
            print(f"failed: {check.__name__}\n{traceback.format_exc()}")


def query(**parameters):
    kind = IncidentsRequestBuilder.IncidentsRequestBuilderGetQueryParameters
    return RequestConfiguration(query_parameters=kind(**parameters))


async def filters_and_orders(checks, graph):
    page = await graph.security.incidents.get(
        query(filter="severity eq 'high'", orderby=["createdDateTime desc"], top=50)
    )
    checks.that(len(page.value) == ALERTS // 3, f"{len(page.value)} incidents of severity high")
    created = [incident.created_date_time for incident in page.value]
    checks.that(created == sorted(created, reverse=True), "newest first")
    words = {incident.severity.value for incident in page.value}
    checks.that(words == {"high"}, f"severities {words}")


async def pages_to_the_end(checks, graph):
    page = await graph.security.incidents.get(query(top=7))
    seen, pages = [], 0
    while page is not None and pages < 50:
        pages += 1
        seen += [incident.id for incident in page.value]
        link = page.odata_next_link
        page = await graph.security.incidents.with_url(link).get() if link else None
    checks.that(len(seen) == ALERTS, f"{len(seen)} incidents on {pages} pages")
    checks.that(len(set(seen)) == len(seen), "no incident on two pages")


async def expands_alerts(checks, graph):
    page = await graph.security.incidents.get(query(expand=["alerts"], top=5))
    checks.that(all(incident.alerts for incident in page.value), "every incident has alerts")
    kinds = {type(found).__name__ for i in page.value for a in i.alerts for found in a.evidence}
    checks.that(kinds == {"DeviceEvidence"}, f"evidence {kinds}")


async def changes_an_incident(checks, graph):
    page = await graph.security.incidents.get(query(top=1))
    one = graph.security.incidents.by_incident_id(page.value[0].id)
    checks.that((await one.get()).id == page.value[0].id, "the same incident by its id")
    changed = await one.patch(
        Incident(
            assigned_to="lead@fjordwatch.example",
            custom_tags=["sdk"],
            status=IncidentStatus.InProgress,
        )
    )
    checks.that(changed.assigned_to == "lead@fjordwatch.example", "the answer has the owner")
    again = await one.get()
    checks.that(again.custom_tags == ["sdk"], f"tags {again.custom_tags}")
    checks.that(again.status == IncidentStatus.InProgress, f"status {again.status}")


async def comments_on_an_alert(checks, graph):
    page = await graph.security.alerts_v2.get()
    one = graph.security.alerts_v2.by_alert_id(page.value[0].id)
    comment = AlertComment(comment="seen by the SDK")
    comment.odata_type = "microsoft.graph.security.alertComment"
    await one.comments.post([comment])
    texts = [found.comment for found in (await one.get()).comments]
    checks.that("seen by the SDK" in texts, f"comments {texts}")


async def says_what_is_not_there(checks, graph):
    try:
        await graph.security.incidents.by_incident_id("999999999").get()
        checks.that(False, "an unknown incident is refused")
    except APIError as error:
        checks.that(error.response_status_code == 404, f"status {error.response_status_code}")
        checks.that(bool(error.error and error.error.code), "the error has a code")


async def refuses_a_wrong_secret(checks, url, made, ca):
    wrong = dict(made, clientSecret="wrong")
    try:
        credential(url, wrong, ca).get_token(SCOPE)
        checks.that(False, "a wrong secret is refused")
    except Exception as error:
        checks.that("AADSTS7000215" in str(error), f"said {error}")


def credential(url, made, ca):
    return ClientSecretCredential(
        made["tenantId"],
        made["clientId"],
        made["clientSecret"],
        authority=url,
        disable_instance_discovery=True,
        connection_verify=ca,
    )


def client(url, made, ca):
    provider = AzureIdentityAuthenticationProvider(
        credential(url, made, ca), scopes=[SCOPE], allowed_hosts=[httpx.URL(url).host]
    )
    http = httpx.AsyncClient(verify=ssl.create_default_context(cafile=ca), http2=True)
    adapter = GraphRequestAdapter(
        provider, client=GraphClientFactory.create_with_default_middleware(client=http)
    )
    adapter.base_url = f"{url}/v1.0"
    return GraphServiceClient(request_adapter=adapter)


async def check_all(url, made, ca):
    checks = Checks()
    graph = client(url, made, ca)
    for check in (
        filters_and_orders,
        pages_to_the_end,
        expands_alerts,
        changes_an_incident,
        comments_on_an_alert,
        says_what_is_not_there,
    ):
        await checks.run(check, graph)
    await checks.run(refuses_a_wrong_secret, url, made, ca)
    return checks


def main(riposte):
    # What the machine is set to must not reach in: proxies, other stores, other authorities.
    keep = ("PATH", "HOME", "LANG", "TMPDIR")
    environment = {name: os.environ[name] for name in keep if name in os.environ}
    os.environ["NO_PROXY"] = "localhost"
    with tempfile.TemporaryDirectory() as folder:
        data = str(Path(folder) / "data")

        def command(*words):
            done = subprocess.run(
                [riposte, "--data-dir", data, "--json", *words],
                env=environment, check=True, stdout=subprocess.PIPE, text=True,
            )
            return json.loads(done.stdout)

        command("init", "--provider", "Fjordwatch", "--admin", "lead@fjordwatch.example")
        tenant = command("tenant", "add", "Alder Freight")["tenantId"]
        made = command(
            "app", "add", "--tenant", tenant, "--name", "sdk", "--permission",
            "SecurityIncident.ReadWrite.All", "SecurityAlert.ReadWrite.All",
        )
        records = Path(folder) / "alerts.ndjson"
        records.write_text("".join(json.dumps(alert(n)) + "\n" for n in range(ALERTS)))
        taken = command("import", "--tenant", tenant, "--format", "graph", str(records))
        if taken["accepted"] != ALERTS:
            print(f"failed: import said {taken}\n0 passed, 1 failed")
            return 1
        server = subprocess.Popen(
            [riposte, "--data-dir", data, "serve", "--listen", "127.0.0.1:0", "--tls-self-signed"],
            env=environment, stderr=subprocess.PIPE, text=True,
        )
        try:
            for line in server.stderr:
                port = re.search(r"listening at https://127\.0\.0\.1:(\d+)", line)
                if port:
                    break
            else:
                print("failed: the server did not start\n0 passed, 1 failed")
                return 1
            url = f"https://localhost:{port[1]}"
            checks = asyncio.run(check_all(url, made, str(Path(data) / "tls" / "ca.pem")))
        finally:
            server.terminate()
            try:
                server.wait(12)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(os.path.abspath(sys.argv[1])))
