//! Groups, their members and who holds a directory role, as Microsoft Graph v1.0 tells them.
//!
//! Everything is a list that comes in pages; one page is read at a time, so that whoever reads can show
//! in between that it lives. Lists of members are asked for without a cast to users: a cast is
//! answered from an index that lags behind. Invariants: a page leads on only within the connector's own
//! address; a member that cannot be read is a reading that failed, never a member left out: where our
//! client may read groups and not users, Graph names members by their id alone. Not here: how many
//! pages are worth reading, and what follows from them (`directory`).

use std::result::Result;

use serde_json::{Map, Value};

use super::graph::{Fault, Open, encoded, literal};
use crate::app::App;

/// Rows of a page that are asked for: the most there are.
const ROWS: u32 = 999;
/// Groups shown for a search.
const FOUND: u32 = 25;
/// The longest name of a group or a user, in characters.
const LONGEST: usize = 512;
/// The longest address of a next page, in bytes.
const LONGEST_LINK: usize = 16_000;
/// What is read of a member.
const OF_MEMBER: &str = "id,userPrincipalName,onPremisesSamAccountName";
/// What is read of a group.
const OF_GROUP: &str = "id,displayName,onPremisesSyncEnabled,visibility";

/// A group of a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// Its id there.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Whether it comes from a directory on the customer's own premises.
    pub synced: bool,
    /// Whether it shows its members only to who has a permission of its own for that.
    pub hidden: bool,
}

/// A user as a directory lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its id there.
    pub id: String,
    /// The names it goes by, in lower case: the one it signs in with, and the one on premises.
    pub names: Vec<String>,
}

/// One page of a list of members.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// The users in it.
    pub users: Vec<Listed>,
    /// The ids of the groups in it.
    pub groups: Vec<String>,
    /// Where the next page is.
    pub next: Option<String>,
}

/// Where the members of a group are, those of groups inside it as well.
#[must_use]
pub fn members_of(group: &str) -> String {
    format!("/v1.0/groups/{}/transitiveMembers?$select={OF_MEMBER}&$top={ROWS}", encoded(group))
}

/// Where those are who hold a directory role.
#[must_use]
pub fn holders_of(role: &str) -> String {
    format!("/v1.0/directoryRoles/{}/members?$select={OF_MEMBER}", encoded(role))
}

/// An id as directories give them.
///
/// # Errors
/// Why it is none.
pub fn group_id(text: &str) -> Result<String, String> {
    let text = text.trim().to_ascii_lowercase();
    if is_id(&text) { Ok(text) } else { Err("it is not the id of a group in a directory".into()) }
}

fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
}

fn text<'a>(of: &'a Map<String, Value>, member: &str) -> &'a str {
    of.get(member).and_then(Value::as_str).unwrap_or_default().trim()
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= LONGEST && !text.chars().any(char::is_control)
}

impl Open<'_> {
    async fn list(&self, app: &App, path: &str) -> Result<(Vec<Value>, Option<String>), Fault> {
        let id = app.random.uuid().map_err(|error| Fault::passing(error.to_string()))?;
        let mut read = self.get_of(app, path, &id, "group").await?;
        let Some(Value::Array(value)) = read.remove("value") else { return Err(self.unreadable()) };
        let next = match read.get("@odata.nextLink") {
            None | Some(Value::Null) => None,
            Some(Value::String(link)) => Some(self.within(link)?),
            Some(_) => return Err(self.unreadable()),
        };
        Ok((value, next))
    }

    /// The path of a next page. The token is for this product, and is shown to nobody else.
    fn within(&self, link: &str) -> Result<String, Fault> {
        let path = link.strip_prefix(self.base_url()).filter(|path| {
            let sound = path.bytes().all(|it| it.is_ascii_graphic());
            path.starts_with("/v1.0/")
                && !path.contains("..")
                && sound
                && path.len() <= LONGEST_LINK
        });
        let away = || Fault::passing(format!("{} leads on to another address", self.title()));
        path.map(str::to_owned).ok_or_else(away)
    }

    fn group_of(&self, it: &Map<String, Value>) -> Result<Group, Fault> {
        let (id, name) = (text(it, "id").to_ascii_lowercase(), text(it, "displayName"));
        if !is_id(&id) || !is_name(name) {
            return Err(self.unreadable());
        }
        let synced = it.get("onPremisesSyncEnabled").and_then(Value::as_bool).unwrap_or(false);
        let hidden = text(it, "visibility").eq_ignore_ascii_case("HiddenMembership");
        Ok(Group { id, name: name.to_owned(), synced, hidden })
    }

    /// Security groups whose name begins with a text; some of all where there is none.
    pub async fn find_groups(&self, app: &App, begins: &str) -> Result<Vec<Group>, Fault> {
        let of_name = if begins.is_empty() {
            String::new()
        } else {
            format!("%20and%20startswith(displayName,%27{}%27)", literal(begins))
        };
        let filter = format!("securityEnabled%20eq%20true{of_name}");
        let path = format!("/v1.0/groups?$filter={filter}&$select={OF_GROUP}&$top={FOUND}");
        let (value, _) = self.list(app, &path).await?;
        let groups = value.iter().filter_map(Value::as_object).take(FOUND as usize);
        // A group whose name nobody can read cannot be chosen by it.
        Ok(groups.filter_map(|it| self.group_of(it).ok()).collect())
    }

    /// The group of an id.
    pub async fn group(&self, app: &App, id: &str) -> Result<Group, Fault> {
        let request = app.random.uuid().map_err(|error| Fault::passing(error.to_string()))?;
        let path = format!("/v1.0/groups/{}?$select={OF_GROUP}", encoded(id));
        let group = self.group_of(&self.get_of(app, &path, &request, "group").await?)?;
        if group.id != id {
            return Err(Fault::passing(format!("{} speaks of another group", self.title())));
        }
        Ok(group)
    }

    /// The ids of the directory roles that somebody may hold.
    pub async fn roles(&self, app: &App) -> Result<Vec<String>, Fault> {
        let (value, next) = self.list(app, "/v1.0/directoryRoles?$select=id").await?;
        if next.is_some() {
            // There is one page, since there are some dozens.
            return Err(self.unreadable());
        }
        let id = |it: &Value| {
            let id = it.get("id").and_then(Value::as_str).filter(|id| is_id(id));
            id.map(str::to_owned).ok_or_else(|| self.unreadable())
        };
        value.iter().map(id).collect()
    }

    /// A page of a list of members.
    pub async fn page(&self, app: &App, path: &str) -> Result<Page, Fault> {
        let (value, next) = self.list(app, path).await?;
        let mut page = Page { next, ..Page::default() };
        for it in value {
            let it = it.as_object().ok_or_else(|| self.unreadable())?;
            let id = text(it, "id").to_ascii_lowercase();
            if !is_id(&id) {
                return Err(self.unreadable());
            }
            match text(it, "@odata.type") {
                "" | "#microsoft.graph.user" => page.users.push(self.listed(it, id)?),
                "#microsoft.graph.group" => page.groups.push(id),
                // Devices, contacts and programs.
                _ => {}
            }
        }
        Ok(page)
    }

    fn listed(&self, it: &Map<String, Value>, id: String) -> Result<Listed, Fault> {
        let principal = text(it, "userPrincipalName").to_lowercase();
        if principal.is_empty() {
            return Err(Fault::lasting(format!(
                "{} does not tell who the members are: our client may not read users there",
                self.title()
            )));
        }
        let on_premises = text(it, "onPremisesSamAccountName").to_lowercase();
        let names: Vec<String> =
            [principal, on_premises].into_iter().filter(|name| !name.is_empty()).collect();
        if !names.iter().all(|name| is_name(name)) {
            return Err(self.unreadable());
        }
        Ok(Listed { id, names })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_inside_its_filter() {
        assert_eq!(literal("O'Brien & co"), "O%27%27Brien%20%26%20co");
        assert_eq!(members_of("a/../b"), members_of("a%2F..%2Fb").replace("%252F", "%2F"));
    }

    #[test]
    fn only_ids_are_ids() {
        let id = "0B5c0d3e-1111-4222-8333-944455556666";
        assert_eq!(group_id(id), Ok(id.to_ascii_lowercase()));
        for bad in ["", "../users", "a b", "a?b", &"a".repeat(65)] {
            assert!(group_id(bad).is_err(), "{bad}");
        }
    }
}
