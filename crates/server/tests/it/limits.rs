//! How often one may ask: limits by application, by customer and by address (ASVS 2.4.1, 4.1.3).

use riposte::config::Config;
use riposte::permission::Permission;
use riposte::tenant::Side;
use serde_json::json;

use crate::browser::Browser;
use crate::face::Face;

#[tokio::test]
async fn one_customer_does_not_use_up_what_others_need() {
    let mut config = Config::default();
    config.limits.tenant_per_minute = 8;
    let face = Face::with(config).await;
    let may = [Permission::IncidentRead];
    let (ours, theirs) = (face.world.tenant.id.clone(), face.world.other.id.clone());
    let (first, second) = (
        face.sign_in(&face.app(Side::Tenant(&ours), &may).await).await,
        face.sign_in(&face.app(Side::Tenant(&ours), &may).await).await,
    );
    let other = face.sign_in(&face.app(Side::Tenant(&theirs), &may).await).await;
    for _ in 0..4 {
        first.get("/api/v1/incidents").await.expect(200);
        second.get("/v1.0/security/incidents").await.expect(200);
    }
    for client in [&first, &second] {
        let refused = client.get("/api/v1/incidents").await.expect(429);
        let seconds: u32 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds));
    }
    other.get("/api/v1/incidents").await.expect(200);
    face.world.app.clock.advance_seconds(61);
    first.get("/api/v1/incidents").await.expect(200);
}

#[tokio::test]
async fn one_address_asks_for_so_many_tokens() {
    let mut config = Config::default();
    config.limits.tokens_per_minute = 3;
    let face = Face::with(config).await;
    let path = format!("/{}/oauth2/v2.0/token", face.world.tenant.id);
    let guess = json!({ "grant_type": "client_credentials", "client_id": "x" });
    let one = Browser::new(&face.router).from("198.51.100.9");
    for number in 0..4 {
        let spoofed = format!("203.0.113.{number}");
        let headers = [("x-forwarded-for", spoofed.as_str()), ("true-client-ip", "203.0.113.9")];
        let status = one.send("POST", &path, Some(&guess), &headers).await.status.as_u16();
        assert_eq!(status == 429, number == 3, "attempt {number}: {status}");
    }
    let other = Browser::new(&face.router).from("198.51.100.10");
    assert_ne!(other.send("POST", &path, Some(&guess), &[]).await.status.as_u16(), 429);
}

#[tokio::test]
async fn a_trusted_proxy_says_where_a_request_came_from_and_nobody_else() {
    let mut config = Config::default();
    config.limits.tokens_per_minute = 1;
    config.trusted_proxies = vec!["198.51.100.0/28".parse().expect("a network")];
    let face = Face::with(config).await;
    let path = format!("/{}/oauth2/v2.0/token", face.world.tenant.id);
    let guess = json!({ "grant_type": "client_credentials", "client_id": "x" });
    let asked = async |peer: &str, said: &str| {
        let browser = Browser::new(&face.router).from(peer);
        let headers = [("x-forwarded-for", said)];
        browser.send("POST", &path, Some(&guess), &headers).await.status.as_u16() != 429
    };
    assert!(asked("198.51.100.1", "192.0.2.1").await);
    assert!(asked("198.51.100.1", "192.0.2.2").await, "two clients behind one proxy");
    assert!(!asked("198.51.100.2", "203.0.113.7, 192.0.2.2").await, "what it adds is last");
    assert!(!asked("198.51.100.2", "192.0.2.2, 198.51.100.3").await, "through two proxies");
    assert!(asked("203.0.113.5", "192.0.2.9").await);
    assert!(!asked("203.0.113.5", "192.0.2.10").await, "others are who they are");
    assert!(asked("198.51.100.4", "nonsense").await);
    assert!(!asked("198.51.100.4", "nonsense").await, "without an address it is the proxy");
}
