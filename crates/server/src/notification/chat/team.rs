//! A team and its channel in Microsoft Teams, made in the customer's organisation (ONB-6).
//!
//! The bot's app registration asks Microsoft Graph for them. Microsoft takes its time over a team: each
//! call goes as far as it comes and says how far that is, and who asks comes again with the team's id
//! until the channel is there. What has the name already is taken and not made a second time. Nothing is
//! kept here: the channel is connected with what this says. Not here: the bot's package, which an
//! administrator uploads.

use openidconnect::url::form_urlencoded::byte_serialize;
use serde_json::{Value, json};

use super::{Fault, Said, Told, Trouble, ask, cut, is_word, request, teams};
use crate::app::App;
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::permission::Permission;
use crate::tenant::caller::Caller;
use crate::tx::Tx;
use crate::word::choices;

/// For what our token is.
const SCOPE: &str = "https://graph.microsoft.com/.default";

choices! {
    /// Whether the bot is in the team.
    Bot {
        /// It is.
        Installed = "installed",
        /// Its package is not in the organisation's catalogue of apps yet.
        NotUploaded = "notUploaded",
        /// Microsoft does not let the app add it: somebody adds it by hand.
        ByHand = "byHand",
    }
}

/// A team as an administrator wants it.
#[derive(Clone, Debug)]
pub struct WantedTeam {
    /// The organisation's id in Entra ID.
    pub tenant_id: String,
    /// The bot's app id.
    pub app_id: String,
    /// A client secret of its registration; not kept.
    pub client_secret: String,
    /// Who owns the team: a user's sign-in name.
    pub owner: String,
    /// What the team is called.
    pub team: String,
    /// What its channel is called.
    pub channel: String,
    /// The team's id, once it is being made.
    pub team_id: Option<String>,
}

/// How far it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MadeTeam {
    /// The team's id.
    pub team_id: String,
    /// The channel's; none while Microsoft is at it.
    pub channel_id: Option<String>,
    /// Whether the bot is in the team; none while it is being made.
    pub bot: Option<Bot>,
}

/// Makes a private team with a channel, or takes those of the names, and adds the bot.
///
/// # Errors
/// `Invalid` with the member that makes no sense; `Conflict` with what keeps Microsoft from it; `Busy`
/// where it asks to come again.
pub async fn make(app: &App, caller: &Caller, wanted: &WantedTeam) -> Result<MadeTeam> {
    caller.require(&[Permission::ContactReadWrite])?;
    caller.require_step_up(app.clock.now())?;
    let tenant = caller.own_tenant()?;
    let wanted = checked(wanted)?;
    let (made, is_new) = reach(app, &wanted).await.map_err(told)?;
    if is_new {
        let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
        tx.record(Fact::ChatTeamMade { team: made.team_id.clone(), name: wanted.team.clone() });
        tx.commit().await?;
    }
    Ok(made)
}

fn checked(wanted: &WantedTeam) -> Result<WantedTeam> {
    let mut it = wanted.clone();
    for (name, text) in [
        ("tenantId", &mut it.tenant_id),
        ("appId", &mut it.app_id),
        ("clientSecret", &mut it.client_secret),
    ] {
        *text = text.trim().to_owned();
        let field = teams::FIELDS.iter().find(|field| field.name == name);
        if let Some(field) = field.filter(|field| !(field.sound)(text)) {
            return Err(Error::Invalid(format!("{name} is {}", field.is)));
        }
    }
    it.owner = it.owner.trim().to_owned();
    if !is_word(&it.owner, 3, 200) || !it.owner.contains('@') || it.owner.contains(['\'', '/']) {
        let why = "owner is the sign-in name of a user, such as ida@alder.example";
        return Err(Error::Invalid(why.to_owned()));
    }
    it.team = crate::tenant::named("team", &it.team)?.to_owned();
    // What Teams takes of a channel's name.
    it.channel = crate::tenant::named("channel", &it.channel)?.to_owned();
    if it.channel.chars().count() > 50
        || it.channel.contains([
            '~', '#', '%', '&', '*', '{', '}', '/', '\\', ':', '<', '>', '?', '+', '|', '\'', '"',
            '.',
        ])
    {
        let why =
            "channel is at most 50 characters, none of them ~ # % & * { } / \\ : < > ? + | ' \" .";
        return Err(Error::Invalid(why.to_owned()));
    }
    if it.team_id.as_deref().is_some_and(|id| !teams::is_uuid(id)) {
        return Err(Error::Invalid("teamId is what this said before, a UUID".to_owned()));
    }
    Ok(it)
}

/// What keeps Microsoft from it, as a caller is told.
fn told(fault: Fault) -> Error {
    match fault {
        Fault::Later(what, after) => {
            let retry_after_s = after.and_then(|it| u32::try_from(it).ok()).unwrap_or(5);
            Error::Busy { what, retry_after_s, own_limit: false }
        }
        Fault::Refused(why) | Fault::Trouble(_, why) => Error::Conflict(why),
        Fault::NoThread => Error::Conflict("Microsoft knows no such team".to_owned()),
    }
}

/// Microsoft Graph, as the app.
struct Graph<'a> {
    app: &'a App,
    token: String,
}

/// What the app asks for, and the permission that lets it.
type Wish = (&'static str, &'static str);

const LOOK: Wish = ("look for the team", "Team.ReadBasic.All");
const MAKE: Wish = ("make a team", "Team.Create");
const CHANNELS: Wish = ("look at the team's channels", "Channel.ReadBasic.All");
const CHANNEL: Wish = ("make a channel", "Channel.Create");
const CATALOGUE: Wish = ("look for the bot among the organisation's apps", "AppCatalog.Read.All");
const INSTALL: Wish = ("add the bot to the team", "TeamsAppInstallation.ReadWriteSelfForTeam.All");

async fn reach(app: &App, wanted: &WantedTeam) -> Told<(MadeTeam, bool)> {
    let who = (wanted.tenant_id.as_str(), wanted.app_id.as_str(), wanted.client_secret.as_str());
    let (token, _) = teams::granted(app, who, SCOPE).await?;
    let graph = Graph { app, token };
    let known = match &wanted.team_id {
        Some(id) => Some(id.clone()),
        None => graph.team(&wanted.team).await?,
    };
    let (team_id, is_new) = match known {
        Some(id) => (id, false),
        None => (graph.make_team(wanted).await?, true),
    };
    let Some(channel_id) = graph.channel(&team_id, &wanted.channel).await? else {
        return Ok((MadeTeam { team_id, channel_id: None, bot: None }, is_new));
    };
    let bot = graph.bot(&team_id, &wanted.app_id).await?;
    Ok((MadeTeam { team_id, channel_id: Some(channel_id), bot: Some(bot) }, is_new))
}

impl Graph<'_> {
    async fn send(&self, method: &str, path: &str, body: &Value) -> Told<Said> {
        let base = self.app.config.chat.teams_graph.trim_end_matches('/');
        let asked = request(method, &format!("{base}{path}"), Some(&self.token), body)?;
        ask(self.app, asked).await
    }

    async fn get(&self, path: &str, wish: Wish) -> Told<Value> {
        judge(self.send("GET", path, &Value::Null).await?, wish).map(|said| said.body)
    }

    /// The team of a name.
    async fn team(&self, name: &str) -> Told<Option<String>> {
        let filter = format!("displayName eq '{}'", name.replace('\'', "''"));
        let filter: String = byte_serialize(filter.as_bytes()).collect();
        let path = format!("/teams?$filter={filter}&$select=id,displayName");
        let found = self.get(&path, LOOK).await?;
        Ok(named(&found, name, teams::is_uuid))
    }

    /// Has a team made; gives its id.
    async fn make_team(&self, wanted: &WantedTeam) -> Told<String> {
        let base = self.app.config.chat.teams_graph.trim_end_matches('/');
        let body = json!({
            "template@odata.bind": format!("{base}/teamsTemplates('standard')"),
            "displayName": wanted.team,
            "description": "Managed response: what the experts publish, and answers to them.",
            "visibility": "private",
            "members": [{
                "@odata.type": "#microsoft.graph.aadUserConversationMember",
                "roles": ["owner"],
                "user@odata.bind": format!("{base}/users('{}')", wanted.owner),
            }],
            "channels": [{ "displayName": wanted.channel, "isFavoriteByDefault": true }],
        });
        let said = judge(self.send("POST", "/teams", &body).await?, MAKE)?;
        let id = said.content_location.as_deref().and_then(|it| it.split('\'').nth(1));
        let id = id.filter(|id| teams::is_uuid(id));
        // It is being made all the same: who comes again finds it by its name.
        id.map(str::to_owned).ok_or_else(|| {
            Fault::Later("Microsoft does not say which team it makes".to_owned(), Some(30))
        })
    }

    /// The channel of a name, made where there is none; none while the team is being made.
    async fn channel(&self, team: &str, name: &str) -> Told<Option<String>> {
        let path = format!("/teams/{team}/channels");
        let found = match self.get(&format!("{path}?$select=id,displayName"), CHANNELS).await {
            Err(Fault::NoThread) => return Ok(None),
            found => found?,
        };
        let sound = |id: &str| is_word(id, 5, 200) && id.starts_with("19:");
        if let Some(id) = named(&found, name, sound) {
            return Ok(Some(id));
        }
        let body = json!({ "displayName": name, "membershipType": "standard" });
        let said = match judge(self.send("POST", &path, &body).await?, CHANNEL) {
            Err(Fault::NoThread) => return Ok(None),
            said => said?,
        };
        let id = said.body["id"].as_str().filter(|id| sound(id));
        let nothing =
            || Fault::Later("Microsoft does not say which channel it made".to_owned(), None);
        id.map(str::to_owned).map(Some).ok_or_else(nothing)
    }

    /// Adds the bot to the team.
    async fn bot(&self, team: &str, app_id: &str) -> Told<Bot> {
        let by_hand = |fault: &Fault| matches!(fault, Fault::Trouble(..) | Fault::Refused(_));
        let path =
            format!("/appCatalogs/teamsApps?$filter=externalId%20eq%20'{app_id}'&$select=id");
        let found = match self.get(&path, CATALOGUE).await {
            Err(fault) if by_hand(&fault) => return Ok(Bot::ByHand),
            found => found?,
        };
        let id = found["value"][0]["id"].as_str().filter(|id| is_word(id, 1, 100));
        let Some(id) = id.filter(|id| !id.contains(['\'', '/'])) else {
            return Ok(Bot::NotUploaded);
        };
        let base = self.app.config.chat.teams_graph.trim_end_matches('/');
        let body = json!({ "teamsApp@odata.bind": format!("{base}/appCatalogs/teamsApps/{id}") });
        let said = self.send("POST", &format!("/teams/{team}/installedApps"), &body).await?;
        // It is in the team already.
        if said.status == 409 {
            return Ok(Bot::Installed);
        }
        match judge(said, INSTALL) {
            Err(fault) if by_hand(&fault) => Ok(Bot::ByHand),
            said => said.map(|_| Bot::Installed),
        }
    }
}

/// The id of what has a name, among what Graph lists.
fn named(list: &Value, name: &str, sound: impl Fn(&str) -> bool) -> Option<String> {
    let all = list["value"].as_array()?;
    let it = all.iter().find(|it| it["displayName"].as_str() == Some(name))?;
    it["id"].as_str().filter(|id| sound(id)).map(str::to_owned)
}

/// What Graph says, or what helps where it refuses.
fn judge(said: Said, (what, permission): Wish) -> Told<Said> {
    let error = &said.body["error"];
    let code: String = error["code"]
        .as_str()
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(60)
        .collect();
    let answered = format!("Microsoft answered {} {code}", said.status);
    let answered = answered.trim_end();
    match said.status {
        200..=299 => Ok(said),
        401 | 403 => Err(Fault::Trouble(
            Trouble::Blocked,
            format!(
                "Microsoft does not let the app {what}: give its registration in Entra ID the \
                 application permission {permission} with an administrator's consent, and see that \
                 your policies let apps do so ({answered})"
            ),
        )),
        404 => Err(Fault::NoThread),
        429 | 500.. => Err(Fault::Later(answered.to_owned(), said.retry_after)),
        _ => {
            let text: String = error["message"].as_str().unwrap_or_default().to_owned();
            let text: String = text.chars().filter(|c| !c.is_control()).collect();
            Err(Fault::Refused(format!("{answered} when asked to {what}: {}", cut(&text, 300))))
        }
    }
}
