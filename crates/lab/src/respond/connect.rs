//! Connects the stand-in for a product to each customer, as its administrator does it.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::json;

use super::load::users;
use super::vendor::{CLIENT, Vendor};
use crate::hostile::set_up;
use crate::http::{Client, Reply, Request};
use crate::server::{App, Install};

/// Starts a stand-in with the users of these customers and connects it to each.
pub(super) async fn connect(
    install: &Install,
    address: SocketAddr,
    customers: &[App],
    seed: u64,
    scratch: &Path,
) -> Result<Vendor, String> {
    let all = (0..customers.len()).flat_map(users);
    let vendor = Vendor::start(all, seed, &scratch.join("vendor.ndjson")).await?;
    for (number, customer) in customers.iter().enumerate() {
        let email = format!("ida@alder{number}.example");
        let words = [
            "user",
            "add",
            "--tenant",
            &customer.tenant_id,
            "--email",
            &email,
            "--role",
            "Security Administrator",
        ];
        let added = install.run(&words, None).await?;
        let link = added["setupUrl"].as_str().ok_or("user add gives no link")?;
        let cookie = session(&set_up(address, link, "Ida Berg").await?)?;
        let wanted = json!({
            "kind": "microsoftGraph", "baseUrl": format!("http://{}", vendor.address),
            "tokenUrl": format!("http://{}/token", vendor.address),
            "clientId": CLIENT.0, "clientSecret": CLIENT.1,
        });
        let headers = format!("X-Riposte: 1\r\nCookie: {cookie}\r\n");
        let body = wanted.to_string();
        let request = Request {
            headers: &headers,
            ..Request::json("POST", "/api/v1/connectors", "", body.as_bytes())
        };
        let reply = Client::new(address).send(&request).await;
        let reply = reply.map_err(|error| format!("connector: {error}"))?;
        if !reply.ok() {
            return Err(format!("connector: {}", reply.excerpt()));
        }
    }
    Ok(vendor)
}

/// The cookies that a reply gives.
pub(crate) fn session(reply: &Reply) -> Result<String, String> {
    let given = reply.head.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("set-cookie")
            .then(|| value.split(';').next().unwrap_or("").trim())
    });
    let cookies: Vec<&str> = given.collect();
    if cookies.is_empty() {
        Err("set-up gives no session".to_owned())
    } else {
        Ok(cookies.join("; "))
    }
}
