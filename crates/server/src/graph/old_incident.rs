//! `/api/incidents`: Defender's own older interface, with its published limits (SYN-8).

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::graph::write::Shape;
use crate::graph::{Ask, incident as graph, patch};
use crate::http::limit::Class;
use crate::http::{Answer, Failure, Site, Unmetered, body};
use crate::id::IncidentId;
use crate::incident;
use crate::incident::model::Patch;
use crate::permission::Permission;
use crate::word::{Classification, Determination, IncidentStatus};

/// Rows of a page, and at most.
const PAGE: u64 = 100;

/// A request under this interface's limits.
pub(super) struct OldAsk(Ask);

impl FromRequestParts<Site> for OldAsk {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Failure> {
        let Unmetered(caller) = Unmetered::from_request_parts(parts, site).await?;
        site.limiter.count(&caller.client_id, Class::Legacy, &site.app)?;
        Ok(Self(Ask::by(caller, parts, site).await?))
    }
}

pub(super) async fn list(State(site): State<Site>, OldAsk(ask): OldAsk) -> Answer {
    ask.caller.require(&[Permission::IncidentRead])?;
    ask.list(&site, Shape::OldIncident, None, "Incidents", PAGE, PAGE).await
}

pub(super) async fn get(
    State(site): State<Site>,
    Path(id): Path<String>,
    OldAsk(ask): OldAsk,
) -> Answer {
    ask.caller.require(&[Permission::IncidentRead])?;
    show(&site, &ask, graph::id_of(&id)?).await
}

async fn show(site: &Site, ask: &Ask, id: IncidentId) -> Answer {
    let incident = incident::find(&site.app, &ask.caller, id).await?;
    let mut writer = ask.writer(site, Shape::OldIncident);
    writer.context = Some(format!("{}/api/$metadata#Incidents/$entity", ask.base.0));
    writer.incident(site, incident, ask.prefer).await
}

pub(super) async fn update(
    State(site): State<Site>,
    Path(id): Path<String>,
    OldAsk(ask): OldAsk,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    ask.caller.require(&[Permission::IncidentReadWrite])?;
    let id = graph::id_of(&id)?;
    let members = patch::object(body::json(&headers, body, &site.bodies).await?)?;
    let mut changes = Patch::default();
    let mut comment = None;
    for (name, value) in &members {
        match name.as_str() {
            "status" => changes.status = Some(patch::word(name, value, status)?),
            "assignedTo" => changes.assigned_to = Some(patch::text(name, value)?),
            "classification" => {
                changes.classification = Some(patch::word(name, value, Classification::read)?);
            }
            "determination" => {
                changes.determination = Some(patch::word(name, value, Determination::read)?);
            }
            "tags" => changes.custom_tags = Some(own_tags(patch::texts(name, value)?)),
            "comment" if !value.is_null() => comment = Some(patch::text(name, value)?),
            _ => {}
        }
    }
    if changes != Patch::default() {
        incident::change(&site.app, &ask.caller, id, changes).await?;
    }
    if let Some(text) = comment.filter(|text: &String| !text.trim().is_empty()) {
        incident::comment(&site.app, &ask.caller, id, vec![text]).await?;
    }
    show(&site, &ask, id).await
}

fn status(word: &str) -> Option<IncidentStatus> {
    if word.eq_ignore_ascii_case("new") {
        return Some(IncidentStatus::Active);
    }
    IncidentStatus::read(word)
}

/// This interface shows all tags in one list; those of ours that come back are not custom ones.
fn own_tags(tags: Vec<String>) -> Vec<String> {
    let ours = [
        incident::model::TAG_EXPERTS,
        incident::model::TAG_AWAITING,
        incident::model::TAG_REDIRECTED,
    ];
    tags.into_iter().filter(|tag| !ours.contains(&tag.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_ours_do_not_become_custom_ones() {
        let tags = own_tags(vec!["Defender Experts".to_owned(), "branch".to_owned()]);
        assert_eq!(tags, ["branch"]);
        assert_eq!(status("New"), Some(IncidentStatus::Active));
    }
}
