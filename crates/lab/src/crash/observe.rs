//! Reads everything back through the Graph face, as a customer's own client would.

use std::collections::{BTreeSet, HashSet};
use std::net::SocketAddr;

use serde_json::Value;

use super::checker::{AlertSeen, IncidentSeen, TenantSeen};
use super::leaves::Leaf;
use crate::http::{Client, Reply};

/// More pages than any run makes; a link that leads in a circle ends there.
const MOST_PAGES: usize = 100_000;

/// One tenant's application, looking.
#[derive(Debug)]
pub(crate) struct Observer<'a> {
    client: Client,
    token: &'a str,
    known: &'a [String],
    found: BTreeSet<String>,
}

impl<'a> Observer<'a> {
    /// An observer with this token, who recognises these canaries.
    pub(crate) fn new(address: SocketAddr, token: &'a str, known: &'a [String]) -> Self {
        Self { client: Client::new(address), token, known, found: BTreeSet::new() }
    }

    /// One reply, waiting where the server says that it is asked too often.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Reply, String> {
        for _ in 0..60 {
            let reply = self
                .client
                .get(path, self.token)
                .await
                .map_err(|error| format!("GET {path}: {error}"))?;
            if reply.status == 429 {
                let wait = reply.header("retry-after").and_then(|text| text.parse().ok());
                tokio::time::sleep(std::time::Duration::from_secs(wait.unwrap_or(1))).await;
                continue;
            }
            let text = String::from_utf8_lossy(&reply.body);
            for canary in self.known {
                if !self.found.contains(canary) && text.contains(canary.as_str()) {
                    self.found.insert(canary.clone());
                }
            }
            return Ok(reply);
        }
        Err(format!("GET {path}: refused for its rate again and again"))
    }

    /// All rows of a collection, following its links.
    pub(crate) async fn rows(&mut self, path: &str) -> Result<Vec<Value>, String> {
        let (mut rows, mut next) = (Vec::new(), Some(path.to_owned()));
        let mut pages = 0;
        while let Some(path) = next {
            let reply = self.get(&path).await?;
            if !reply.ok() {
                return Err(format!("GET {path}: {}", reply.excerpt()));
            }
            let mut page = reply.json();
            next = next_path(&path, &page);
            for name in ["value", "items", "entries", "events"] {
                if let Some(Value::Array(values)) = page.get_mut(name).map(Value::take) {
                    rows.extend(values);
                    break;
                }
            }
            pages += 1;
            if pages > MOST_PAGES {
                return Err(format!("GET {path}: the links do not end"));
            }
        }
        Ok(rows)
    }

    async fn count(&mut self, path: &str) -> Option<u64> {
        let reply = self.get(path).await.ok().filter(Reply::ok)?;
        String::from_utf8_lossy(&reply.body).trim_start_matches('\u{feff}').trim().parse().ok()
    }

    /// All alerts of the tenant.
    pub(crate) async fn alerts(&mut self) -> Result<Vec<AlertSeen>, String> {
        let rows = self.rows("/v1.0/security/alerts_v2?$top=1000").await?;
        Ok(rows
            .iter()
            .map(|row| AlertSeen {
                id: text(row, "id").unwrap_or_default(),
                source_id: text(row, "providerAlertId").unwrap_or_default(),
                incident: text(row, "incidentId").filter(|id| !id.is_empty()),
                tenant_id: text(row, "tenantId").unwrap_or_default(),
            })
            .collect())
    }

    /// How many alerts have no incident yet.
    pub(crate) async fn waiting(&mut self) -> Result<u64, String> {
        let path = "/v1.0/security/alerts_v2/$count?$filter=incidentId%20eq%20null";
        if let Some(count) = self.count(path).await {
            return Ok(count);
        }
        let alerts = self.alerts().await?;
        Ok(alerts.iter().filter(|alert| alert.incident.is_none()).count() as u64)
    }

    /// Everything of the tenant; comments and activity logs only of the incidents in `touched`.
    pub(crate) async fn tenant(
        mut self,
        tenant_id: &str,
        canary: &str,
        touched: &HashSet<String>,
    ) -> Result<TenantSeen, String> {
        let alerts = self.alerts().await?;
        let rows = self.rows("/v1.0/security/incidents?$top=200&$expand=alerts").await?;
        let mut incidents: Vec<IncidentSeen> = rows.iter().map(incident).collect();
        // Logs go along with a merge, so the end of each redirection is read as well.
        let redirected: HashSet<String> = incidents
            .iter()
            .filter(|incident| touched.contains(&incident.id))
            .filter_map(|incident| incident.redirect.clone())
            .collect();
        for incident in &mut incidents {
            if touched.contains(&incident.id) || redirected.contains(&incident.id) {
                let path = format!("/api/v1/incidents/{}/timeline", incident.id);
                if let Ok(entries) = self.rows(&path).await {
                    incident.timeline = Some(entries.iter().map(Value::to_string).collect());
                }
            }
        }
        let alert_count = self.count("/v1.0/security/alerts_v2/$count").await;
        let incident_count = self.count("/v1.0/security/incidents/$count").await;
        let leaves = self.rows("/api/v1/audit?top=1000").await?.iter().map(leaf).collect();
        Ok(TenantSeen {
            tenant_id: tenant_id.to_owned(),
            canary: canary.to_owned(),
            canaries: self.found,
            alerts,
            incidents,
            alert_count,
            incident_count,
            leaves: Some(leaves),
        })
    }
}

fn text(row: &Value, name: &str) -> Option<String> {
    match row.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn list<'a>(row: &'a Value, name: &str) -> &'a [Value] {
    row[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn incident(row: &Value) -> IncidentSeen {
    let strings = |name: &str| list(row, name).iter().filter_map(Value::as_str).map(str::to_owned);
    IncidentSeen {
        id: text(row, "id").unwrap_or_default(),
        tenant_id: text(row, "tenantId").unwrap_or_default(),
        redirect: text(row, "redirectIncidentId").filter(|id| !id.is_empty()),
        tags: strings("customTags").collect(),
        description: text(row, "description"),
        alerts: list(row, "alerts").iter().filter_map(|alert| text(alert, "id")).collect(),
        comments: list(row, "comments").iter().filter_map(|one| text(one, "comment")).collect(),
        timeline: None,
    }
}

fn leaf(row: &Value) -> Leaf {
    let data = &row["auditData"];
    let mut says: Vec<String> =
        ["providerAlertId", "comment"].into_iter().filter_map(|name| text(data, name)).collect();
    says.extend(list(data, "changes").iter().map(|change| change["after"].to_string()));
    Leaf {
        position: data["position"].as_u64().unwrap_or(u64::MAX),
        operation: text(row, "operation").unwrap_or_default(),
        incident: text(data, "incidentId"),
        alert: text(data, "alertId"),
        says: says.join(" "),
    }
}

/// The path of the next page: a link as Graph gives it, or a cursor as our own API does.
pub(crate) fn next_path(path: &str, page: &Value) -> Option<String> {
    for name in ["@odata.nextLink", "nextLink", "next"] {
        if let Some(link) = page[name].as_str().filter(|link| !link.is_empty()) {
            let after = link.split_once("://").map_or(link, |(_, rest)| rest);
            if after.contains('/') || link.starts_with('?') {
                let at = after.find('/').unwrap_or(0);
                return Some(after.get(at..).unwrap_or("/").to_owned());
            }
            return Some(with_cursor(path, link));
        }
    }
    let cursor = ["cursor", "nextCursor"].iter().find_map(|name| page[*name].as_str());
    cursor.filter(|cursor| !cursor.is_empty()).map(|cursor| with_cursor(path, cursor))
}

fn with_cursor(path: &str, cursor: &str) -> String {
    let (base, query) = path.split_once('?').unwrap_or((path, ""));
    let mut parts: Vec<&str> =
        query.split('&').filter(|part| !part.is_empty() && !part.starts_with("cursor=")).collect();
    let cursor = format!("cursor={}", crate::http::escape(cursor));
    parts.push(&cursor);
    format!("{base}?{}", parts.join("&"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::trivial::{self, Responder};

    #[test]
    fn every_kind_of_link_is_followed() {
        let page = json!({"@odata.nextLink": "https://h:1/v1.0/x?$skiptoken=a"});
        assert_eq!(next_path("/v1.0/x", &page).unwrap(), "/v1.0/x?$skiptoken=a");
        assert_eq!(next_path("/t?a=1", &json!({"next": "c 1"})).unwrap(), "/t?a=1&cursor=c%201");
        let page = json!({"nextCursor": "n"});
        assert_eq!(next_path("/t?cursor=m", &page).unwrap(), "/t?cursor=n");
        assert_eq!(next_path("/t", &json!({"value": [], "next": null})), None);
    }

    #[tokio::test]
    async fn a_tenant_is_read_whole() {
        let server = Responder::start(|request| {
            let path = request.path.as_str();
            let body = if path.starts_with("/v1.0/security/alerts_v2/$count") {
                "2".to_owned()
            } else if path.starts_with("/v1.0/security/incidents/$count") {
                return trivial::json(404, "{}");
            } else if path.ends_with("page2") {
                json!({"value": [{"id": "b", "incidentId": null, "tenantId": "t"}]}).to_string()
            } else if path.starts_with("/v1.0/security/alerts_v2") {
                json!({"value": [{"id": "a", "providerAlertId": "labone-1", "incidentId": 7,
                    "tenantId": "t"}],
                    "@odata.nextLink": "http://h/v1.0/security/alerts_v2?page2"})
                .to_string()
            } else if path.starts_with("/api/v1/audit") {
                json!({"value": [
                    {"operation": "alert.received", "auditData": {"position": 0,
                        "alertId": "a", "incidentId": null, "providerAlertId": "labone-1"}},
                    {"operation": "incident.changed", "auditData": {"position": 1,
                        "alertId": null, "incidentId": "7",
                        "changes": [{"field": "description", "before": "m0", "after": "m1"}]}},
                ], "nextCursor": null})
                .to_string()
            } else if path.ends_with("timeline") {
                json!({"value": [{"kind": "incident.changed", "mark": "m1"}]}).to_string()
            } else {
                json!({"value": [{"id": "7", "tenantId": "t", "customTags": ["m1-a"],
                    "alerts": [{"id": "a"}], "comments": [{"comment": "hi"}]}]})
                .to_string()
            };
            trivial::json(200, &body)
        })
        .await
        .unwrap();
        let known = ["one".to_owned(), "two".to_owned()];
        let observer = Observer::new(server.address, "t", &known);
        let touched = HashSet::from(["7".to_owned()]);
        let seen = observer.tenant("t", "one", &touched).await.unwrap();
        assert_eq!(seen.alerts.len(), 2);
        assert_eq!(seen.alerts[0].incident.as_deref(), Some("7"));
        assert_eq!(seen.alerts[1].incident, None);
        assert_eq!(seen.canaries, BTreeSet::from(["one".to_owned()]));
        assert_eq!((seen.alert_count, seen.incident_count), (Some(2), None));
        assert_eq!(seen.incidents[0].comments, ["hi"]);
        assert_eq!(seen.incidents[0].timeline.as_ref().unwrap().len(), 1);
        let leaves = seen.leaves.unwrap();
        assert_eq!((leaves[0].says.as_str(), leaves[1].says.as_str()), ("labone-1", "\"m1\""));
        assert_eq!((leaves[0].incident.as_deref(), leaves[0].alert.as_deref()), (None, Some("a")));
        assert_eq!((leaves[1].incident.as_deref(), leaves[1].position), (Some("7"), 1));
    }
}
