//! The queue as people filter it (UI-1).

use riposte::permission::Role;
use serde_json::json;

use crate::face::Face;
use crate::world::alert;

#[tokio::test]
async fn the_queue_is_filtered_by_what_the_alerts_name() {
    let face = Face::new().await;
    let world = &face.world;
    let mut one = alert("one", "h1", "u1", 0);
    one["threatDisplayName"] = json!("Trojan:Win32/Sable");
    one["threatFamilyName"] = json!("Sable");
    one["additionalData"] = json!({ "SensitivityLabel": "Confidential" });
    one["evidence"][0]["osPlatform"] = json!("Windows11");
    one["evidence"][0]["rbacGroupName"] = json!("Accounting's desks");
    let mut other = alert("two", "h2", "u2", 0);
    other["evidence"][0]["osPlatform"] = json!("Ubuntu");
    world.alerts(&[one, other]).await;
    world.settle().await;
    let ida = face.person(&world.tenant.id, "ida@alder.example", Role::SecurityAdministrator).await;
    let found = async |filter: &str| {
        let query = filter.replace(' ', "%20").replace('\'', "%27");
        let list = ida.get(&format!("/api/v1/incidents?filter={query}")).await.expect(200).json();
        list["value"].as_array().expect("a list").clone()
    };
    for filter in [
        "osPlatforms/any(o: o eq 'Windows11')",
        "deviceGroups/any(g: g eq 'Accounting''s desks')",
        "sensitivityLabels/any(l: l eq 'Confidential')",
        "threats/any(t: t eq 'Sable')",
        "threats/any(t: t eq 'Trojan:Win32/Sable')",
    ] {
        let rows = found(filter).await;
        assert_eq!(rows.len(), 1, "{filter}");
        assert_eq!(rows[0]["osPlatforms"], json!(["Windows11"]), "{filter}");
        assert_eq!(rows[0]["deviceGroups"], json!(["Accounting's desks"]));
    }
    assert_eq!(found("osPlatforms/any(o: o eq 'Ubuntu')").await.len(), 1);
    assert_eq!(found("threats/any(t: t eq 'Ubuntu')").await.len(), 0);

    // What joins later is found too; what was moved away is not.
    let mut late = alert("three", "h2", "u2", 5);
    late["threatFamilyName"] = json!("Sable");
    world.alerts(&[late]).await;
    world.settle().await;
    assert_eq!(found("threats/any(t: t eq 'Sable')").await.len(), 2);
    let alerts = world.rows("select id from alert where title is not null order by id").await;
    let moved = json!({ "alertIds": [format!("al{}", alerts[2])] });
    ida.post("/api/v1/alerts/move", &moved).await.expect(200);
    world.settle().await;
    let both = "osPlatforms/any(o: o eq 'Ubuntu') and threats/any(t: t eq 'Sable')";
    assert_eq!(found(both).await.len(), 0);
}
