//! The demo command: a filled store, who can sign in, and the same listening as `serve`.
//!
//! The secrets of the demo are kept in `demo-access.json`, because the store has only their hashes
//! and a demo is started more than once.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{open_doors, print, routes, settings};
use crate::app::App;
use crate::config::Config;
use crate::demo::Device;
use crate::demo::agents::{self, Ground};
use crate::error::{Error, Result};
use crate::{demo, serve};

/// Fills an empty store, says who can sign in, and serves, with devices where the machine has what
/// that takes.
pub(super) async fn run(app: App, mailbox: Option<TcpListener>, json: bool) -> Result<()> {
    if let Some(listener) = mailbox {
        tokio::spawn(demo::mailbox::keep(app.clone(), listener));
    }
    let ground = Ground::make(&app.config).await.map(Arc::new);
    let ended = serve(app, json, ground.as_ref().map_err(String::as_str)).await;
    if let Ok(ground) = ground {
        ground.clear().await;
    }
    ended
}

async fn serve(
    app: App,
    json: bool,
    ground: std::result::Result<&Arc<Ground>, &str>,
) -> Result<()> {
    // First the address: a demo that cannot be reached need not be filled.
    let place = ground.ok().map(|ground| ground.listen(&app.config));
    let open = open_doors(&app, place.or(app.config.agents)).await?;
    let file = app.config.data_dir.join("demo-access.json");
    if let Some(access) = demo::fill(&app).await? {
        let text = serde_json::to_string_pretty(&access).map_err(Error::internal)?;
        settings::make_dir(&app.config.data_dir)?;
        settings::write_private(&file, &text)?;
    }
    let access: Option<Value> =
        std::fs::read_to_string(&file).ok().and_then(|text| serde_json::from_str(&text).ok());
    let devices = access.as_ref().and_then(|access| access.get("devices")).cloned();
    let devices: Vec<Device> =
        devices.and_then(|devices| serde_json::from_value(devices).ok()).unwrap_or_default();
    let door = open.agents.as_ref().map(|listening| listening.address);
    let ready = match (ground, door) {
        (Err(why), _) => Err(why),
        (_, None) => Err("agents have no address to connect to"),
        _ if devices.is_empty() => Err("the store was filled without any"),
        (Ok(ground), Some(door)) => Ok((ground.clone(), door)),
    };
    let url = open.main.url();
    let (doors, stop) = routes(&app, open).await?;
    if json {
        let missing = ready.as_ref().err();
        let said = json!({ "url": url, "access": access, "devicesMissing": missing });
        print(&said.to_string()).map_err(Error::Invalid)?;
    } else {
        let told = agents::tell(&devices, &url, ready.as_ref().err().copied());
        print(&demo_text(&url, access.as_ref(), &app.config, &told)).map_err(Error::Invalid)?;
    }
    let living = ready.ok().map(|(ground, door)| {
        tokio::spawn(ground.live(app.clone(), devices, door.port(), stop.clone()))
    });
    let ended = serve::serve(app, doors, stop.clone()).await;
    stop.cancel();
    if let Some(living) = living {
        let _ = living.await;
    }
    ended
}

fn demo_text(url: &str, access: Option<&Value>, config: &Config, devices: &str) -> String {
    let Some(access) = access else {
        return format!(
            "Riposte demo at {url}\nThis store was filled elsewhere; add an application with \
             riposte app add to sign in.\n"
        );
    };
    let ca = if url.starts_with("https") {
        format!("--cacert {} ", config.data_dir.join("tls/ca.pem").display())
    } else {
        String::new()
    };
    let word = |of: &Value, name: &str| {
        of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let mut text = format!(
        "Riposte demo at {url}\n\nOpen it in a browser: everybody of the demo signs in with one click \
         there. Applications\nsign in with their credentials:\n"
    );
    let mut people = Vec::new();
    if let Some(experts) = access.get("experts") {
        people.push(("the provider's experts".to_owned(), experts));
    }
    for customer in access.get("customers").and_then(Value::as_array).into_iter().flatten() {
        if let Some([Value::String(name), credentials]) = customer.as_array().map(Vec::as_slice) {
            people.push((name.clone(), credentials));
        }
    }
    for (name, credentials) in &people {
        let _ = write!(
            text,
            "\n  {name}\n    tenant id      {}\n    client id      {}\n    client secret  {}\n",
            word(credentials, "tenantId"),
            word(credentials, "clientId"),
            word(credentials, "clientSecret"),
        );
    }
    if let Some((name, credentials)) = people.last() {
        let _ = write!(
            text,
            "\nThe newest incidents of {name}:\n\n  \
             TOKEN=$(curl -s {ca}{url}/{}/oauth2/v2.0/token -d grant_type=client_credentials \\\n    \
             -d client_id={} -d client_secret={} \\\n    \
             -d scope=https://graph.microsoft.com/.default | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')\n  \
             curl -s {ca}-H \"Authorization: Bearer $TOKEN\" \\\n    \
             '{url}/v1.0/security/incidents?$top=5&$expand=alerts'\n",
            word(credentials, "tenantId"),
            word(credentials, "clientId"),
            word(credentials, "clientSecret"),
        );
    }
    text.push_str(devices);
    text.push_str("\nStop with Ctrl-C.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_says_who_can_sign_in() {
        let one = |name: &str| json!({ "clientId": name, "clientSecret": "s", "tenantId": "t" });
        let access = json!({
            "experts": one("e"), "customers": [["Alder Freight", one("c")]], "setupUrl": "u",
        });
        let text = demo_text("http://127.0.0.1:1", Some(&access), &Config::default(), "");
        assert!(text.contains("Alder Freight") && text.contains("http://127.0.0.1:1/t/oauth2"));
        assert!(!text.contains("--cacert"));
    }
}
