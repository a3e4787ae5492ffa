//! Checks replies of the Graph face against the machine-readable contract.
//!
//! The contract lies beside the checkout; where it is absent nothing is checked.

use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::Value;

/// The folder beside the checkout that holds contract and sample data, when there is one.
pub fn shared(path: &str) -> Option<PathBuf> {
    // Of the checkout that runs, which need not be the one that was compiled: they may share a
    // folder for what is built.
    let crate_dir = std::env::var_os("CARGO_MANIFEST_DIR")?;
    let path = PathBuf::from(crate_dir).join("../../../shared").join(path);
    path.exists().then_some(path)
}

fn document() -> Option<&'static Value> {
    static DOCUMENT: OnceLock<Option<Value>> = OnceLock::new();
    DOCUMENT
        .get_or_init(|| {
            let path = shared("contract/graph-security-v1.0.openapi.json")?;
            let text = std::fs::read_to_string(path).expect("the contract can be read");
            Some(serde_json::from_str(&text).expect("the contract is JSON"))
        })
        .as_ref()
}

/// What the beta version adds, with what it refers to in the other document.
fn beta() -> Option<&'static Value> {
    static DOCUMENT: OnceLock<Option<Value>> = OnceLock::new();
    DOCUMENT
        .get_or_init(|| {
            let path = shared("contract/graph-security-beta-additions.json")?;
            let text = std::fs::read_to_string(path).expect("the additions can be read");
            let text = text.replace("graph-security-v1.0.openapi.json#", "#");
            let mut beta: Value = serde_json::from_str(&text).expect("the additions are JSON");
            let schemas = &document()?["components"]["schemas"];
            for (name, schema) in schemas.as_object().expect("schemas") {
                beta["components"]["schemas"][name] = schema.clone();
            }
            Some(beta)
        })
        .as_ref()
}

/// Every operation of the contract as method and path template, without those for hunting.
pub fn operations() -> Vec<(String, String)> {
    operations_in(document()).filter(|(_, path)| !path.contains("runHuntingQuery")).collect()
}

/// Every operation that the beta version adds.
pub fn beta_operations() -> Vec<(String, String)> {
    operations_in(beta()).collect()
}

fn operations_in(document: Option<&Value>) -> impl Iterator<Item = (String, String)> {
    let paths = document.and_then(|document| document["paths"].as_object());
    paths.into_iter().flatten().flat_map(|(path, item)| {
        let methods = item.as_object().expect("a path item").keys();
        let methods = methods.filter(|name| *name != "parameters");
        methods.map(|method| (method.to_uppercase(), path.clone()))
    })
}

/// The names of the query options that the contract has for an operation.
pub fn options_of(method: &str, path: &str) -> Vec<String> {
    options_in(document().expect("the contract is there"), method, path)
}

/// The same of an operation that the beta version adds.
pub fn beta_options_of(method: &str, path: &str) -> Vec<String> {
    options_in(beta().expect("the contract is there"), method, path)
}

/// The path that an operation of the beta version also answers at.
pub fn beta_alias_of(method: &str, path: &str) -> Option<String> {
    let operation = &beta()?["paths"][path][method.to_ascii_lowercase()];
    operation["x-alias-path"].as_str().map(str::to_owned)
}

/// The words of an enumeration that the beta version adds.
pub fn beta_words(name: &str) -> Option<Vec<String>> {
    let schema = &beta()?["components"]["schemas"][format!("microsoft.graph.security.{name}")];
    let words = schema["enum"].as_array().expect("an enumeration").iter();
    Some(words.map(|word| word.as_str().expect("a word").to_owned()).collect())
}

fn options_in(document: &Value, method: &str, path: &str) -> Vec<String> {
    let parameters = &document["paths"][path][method.to_ascii_lowercase()]["parameters"];
    let named = parameters.as_array().into_iter().flatten();
    let named = named.map(|parameter| resolve(document, parameter));
    let query = named.filter(|parameter| parameter["in"] == "query");
    query.map(|parameter| parameter["name"].as_str().expect("a name").to_owned()).collect()
}

/// Panics when the members that the beta version adds to an incident are missing or of another
/// kind.
pub fn check_beta_incident(incident: &Value) {
    let Some(path) = shared("contract/graph-security-beta-additions.json") else { return };
    let text = std::fs::read_to_string(path).expect("the additions can be read");
    let beta: Value = serde_json::from_str(&text).expect("the additions are JSON");
    let added = &beta["x-additions-to-v1-types"]["microsoft.graph.security.incident"];
    let added = added["addedProperties"].as_object().expect("added members");
    assert!(added.len() >= 2);
    let mut faults = Vec::new();
    for (name, schema) in added {
        match incident.get(name) {
            Some(value) => validate(&beta, schema, value, name, false, &mut faults),
            None => faults.push(format!("{name} is missing")),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Panics with every difference between `body` and what the contract says `method path` answers
/// with `status`. `path` is without the version prefix and the query.
pub fn check(method: &str, path: &str, status: u16, body: &Value) {
    check_in(document(), method, path, status, body);
}

/// The same of an operation that the beta version adds.
pub fn check_beta(method: &str, path: &str, status: u16, body: &Value) {
    check_in(beta(), method, path, status, body);
}

fn check_in(document: Option<&Value>, method: &str, path: &str, status: u16, body: &Value) {
    let Some(document) = document else { return };
    let Some(item) = item(document, path) else {
        panic!("the contract has no path for {method} {path}");
    };
    let operation = &item[method.to_ascii_lowercase()];
    if operation.is_null() {
        assert!(status >= 400, "the contract has no {method} {path}");
        return;
    }
    let responses = &operation["responses"];
    let class = format!("{}XX", status / 100);
    let response = [status.to_string(), class]
        .iter()
        .map(|key| &responses[key.as_str()])
        .find(|response| !response.is_null())
        .unwrap_or_else(|| panic!("the contract has no {status} for {method} {path}"));
    let response = resolve(document, response);
    let schema = &response["content"]["application/json"]["schema"];
    if schema.is_null() {
        return;
    }
    let mut faults = Vec::new();
    validate(document, schema, body, "$", false, &mut faults);
    assert!(
        faults.is_empty(),
        "{method} {path} {status} differs from the contract:\n{}",
        faults.join("\n")
    );
}

/// The path item whose template fits: literal parts win over parameters.
fn item<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let paths = document["paths"].as_object()?;
    let fits = |template: &str| {
        let wanted: Vec<&str> = template.trim_matches('/').split('/').collect();
        wanted.len() == parts.len()
            && wanted
                .iter()
                .zip(&parts)
                .all(|(wanted, part)| wanted.starts_with('{') || wanted == part)
    };
    let mut fitting: Vec<_> = paths.iter().filter(|(template, _)| fits(template)).collect();
    fitting.sort_by_key(|(template, _)| template.matches('{').count());
    fitting.first().map(|(_, item)| *item)
}

fn resolve<'a>(document: &'a Value, mut schema: &'a Value) -> &'a Value {
    while let Some(reference) = schema["$ref"].as_str() {
        schema = document.pointer(reference.trim_start_matches('#')).expect("a reference resolves");
    }
    schema
}

fn validate(
    document: &Value,
    schema: &Value,
    value: &Value,
    at: &str,
    nullable: bool,
    faults: &mut Vec<String>,
) {
    let schema = resolve(document, schema);
    let nullable = nullable || schema["nullable"] == Value::Bool(true);
    if value.is_null() && nullable {
        return;
    }
    if let Some(all) = schema["allOf"].as_array() {
        for part in all {
            validate(document, part, value, at, nullable, faults);
        }
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let fits = any.iter().any(|part| {
            let mut inner = Vec::new();
            validate(document, part, value, at, nullable, &mut inner);
            inner.is_empty()
        });
        if !fits {
            faults.push(format!("{at}: fits none of anyOf: {value}"));
        }
    }
    // A discriminated object is checked as what it says it is.
    if let (Some(mapping), Some(kind)) =
        (schema["discriminator"]["mapping"].as_object(), value["@odata.type"].as_str())
    {
        let Some(target) = mapping.get(kind).and_then(Value::as_str) else {
            faults.push(format!("{at}: {kind} is no type that the contract has there"));
            return;
        };
        let target = &document.pointer(target.trim_start_matches('#')).expect("a mapping resolves");
        if let Some(own) = target["allOf"].as_array().and_then(|all| all.last()) {
            validate(document, own, value, at, nullable, faults);
        }
    }
    if let Some(words) = schema["enum"].as_array() {
        if !words.contains(value) {
            faults.push(format!("{at}: {value} is not one of the contract's words"));
        }
        return;
    }
    let kind = schema["type"].as_str().unwrap_or_default();
    let right = match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    };
    if !right {
        faults.push(format!("{at}: {value} is not a {kind}"));
        return;
    }
    if schema["format"] == "date-time" {
        let text = value.as_str().unwrap_or_default();
        let fixed = text.len() == 28 && text.ends_with('Z') && text.as_bytes()[19] == b'.';
        if !fixed {
            faults.push(format!("{at}: {text} is not a time with seven digits and Z"));
        }
    }
    if let Some(items) = value.as_array() {
        for (index, item) in items.iter().enumerate() {
            validate(document, &schema["items"], item, &format!("{at}[{index}]"), false, faults);
        }
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        let name = required.as_str().unwrap_or_default();
        if value.get(name).is_none() {
            faults.push(format!("{at}: {name} is missing"));
        }
    }
    if let (Some(properties), Some(object)) = (schema["properties"].as_object(), value.as_object())
    {
        for (name, member) in object {
            if let Some(schema) = properties.get(name) {
                validate(document, schema, member, &format!("{at}.{name}"), false, faults);
            }
        }
    }
}

#[test]
fn the_checker_itself_objects() {
    if document().is_none() {
        return;
    }
    let good = serde_json::json!({"value": [{"id": "1", "status": "active"}]});
    check("GET", "/security/incidents", 200, &good);
    for bad in [
        serde_json::json!({"value": [{"id": 1}]}),
        serde_json::json!({"value": [{"id": "1", "status": "Open"}]}),
        serde_json::json!({"value": [{"id": "1", "createdDateTime": "2024-01-01T00:00:00Z"}]}),
        serde_json::json!({"value": {}}),
    ] {
        let bad = std::panic::catch_unwind(|| check("GET", "/security/incidents", 200, &bad));
        assert!(bad.is_err());
    }
    let action = |kind: &str, more: &str| {
        let kind = format!("#microsoft.graph.security.{kind}IncidentTaskResponseAction");
        serde_json::json!({"id": "1", "responseAction": {
            "@odata.type": kind, "identifierValue": "x", "isolationType": more
        }})
    };
    check_beta("GET", "/security/incidentTasks/1", 200, &action("isolateDevice", "full"));
    check_beta("GET", "/security/incidentTasks/1", 200, &action("disableUser", "half"));
    for bad in [
        action("isolateDevice", "half"),
        action("submitIocRule", "full"),
        serde_json::json!({"id": "1", "status": "skipped"}),
        serde_json::json!({"id": "1", "incident": {"id": 1}}),
        serde_json::json!({"id": "1", "lastModifiedByDisplayName": null}),
    ] {
        let bad = || check_beta("GET", "/security/incidentTasks/1", 200, &bad);
        assert!(std::panic::catch_unwind(bad).is_err());
    }
}
