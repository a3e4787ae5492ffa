//! Rules of a form as Cedar, and back.
//!
//! Cedar knows no order: whatever forbids, forbids. That the first rule which holds decides is
//! written out: a later, stricter rule says `unless` and the condition of each earlier one that it
//! would overrule. So the text means the same wherever it is evaluated, and nothing of a decision is
//! outside of it. What it asks of people stands in its annotations, and what lifts it in `unless`:
//!
//! ```text
//! @by("customer") @quorum("2") @within("60") @fallback("refuse")
//! forbid (principal, action in [Action::"dangerous"], resource)
//! when { context.severity <= 3 } unless { context.approvals.customer >= 2 };
//! ```
//!
//! A text is read back by looking for what a form writes and writing that anew: only what comes out
//! the same is a form's. Pure.

use std::fmt::Write as _;

use cedar_policy::{Effect as CedarEffect, Policy};
use serde_json::Value;

use crate::authority::rule::{
    By, Confidence, Effect, Fallback, GRANT, Hours, Rule, Things, Who, severity, types_of,
};
use crate::word::Severity;

/// What stands for the grant: without it nothing is permitted.
pub const GRANT_TEXT: &str = "@id(\"grant\")\npermit (principal, action, resource);\n";

/// A text between quotes, as Cedar takes it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn entities<'a>(kind: &str, ids: impl IntoIterator<Item = &'a str>) -> String {
    let all: Vec<String> = ids.into_iter().map(|id| format!("{kind}::{}", quoted(id))).collect();
    format!("[{}]", all.join(", "))
}

fn words(all: &[String]) -> impl Iterator<Item = &str> {
    all.iter().map(String::as_str)
}

fn between(what: &str, from: Option<i64>, to: Option<i64>) -> Option<String> {
    match (from, to) {
        (None, None) => None,
        (Some(from), None) => Some(format!("context.{what} >= {from}")),
        (None, Some(to)) => Some(format!("context.{what} <= {to}")),
        (Some(from), Some(to)) => {
            Some(format!("context.{what} >= {from} && context.{what} <= {to}"))
        }
    }
}

fn things(things: &Things) -> Option<String> {
    let mut parts = Vec::new();
    for (kind, names) in [
        ("Device", &things.devices),
        ("DeviceGroup", &things.device_groups),
        ("User", &things.users),
    ] {
        if !names.is_empty() {
            parts.push(format!("resource in {}", entities(kind, words(names))));
        }
    }
    if things.high_value {
        parts.push("resource.highValue".to_owned());
    }
    (!parts.is_empty()).then(|| parts.join(" || "))
}

fn hours(hours: &Hours) -> String {
    let zone = format!("Zone::{}", quoted(&hours.zone));
    let days = |shift: i64| {
        let days: Vec<String> =
            hours.days.iter().map(|day| ((day - 1 + shift) % 7 + 1).to_string()).collect();
        format!("[{}].contains({zone}.weekday)", days.join(", "))
    };
    let (from, to) = (hours.from, hours.to);
    let within = if from < to {
        format!("{} && {zone}.minute >= {from} && {zone}.minute < {to}", days(0))
    } else {
        // Over midnight, into the day behind each of them.
        format!("({} && {zone}.minute >= {from}) || ({} && {zone}.minute < {to})", days(0), days(1))
    };
    if hours.outside { format!("!({within})") } else { within }
}

/// The conditions of a rule besides its actions, one for each field of the form that is filled in.
fn conditions(rule: &Rule) -> Vec<String> {
    let mut all = Vec::new();
    if !rule.who.is_empty() {
        let who = entities("Requester", rule.who.iter().map(|who| who.word()));
        all.push(format!("{who}.contains(principal)"));
    }
    all.extend(things(&rule.things));
    let number = |word: &Option<String>| word.as_deref().and_then(severity);
    all.extend(between("severity", number(&rule.severity_from), number(&rule.severity_to)));
    let number = |it: Option<Confidence>| it.map(Confidence::number);
    all.extend(between("confidence", number(rule.confidence_from), number(rule.confidence_to)));
    all.extend(rule.hours.as_ref().map(hours));
    all
}

/// A rule's condition as one expression.
fn whole(rule: &Rule) -> String {
    let mut all = Vec::new();
    if !rule.actions.is_empty() {
        all.push(format!("action in {}", entities("Action", words(&rule.actions))));
    }
    all.extend(conditions(rule));
    match all.as_slice() {
        [] => "true".to_owned(),
        [one] => one.clone(),
        _ => all.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" && "),
    }
}

fn strictness(effect: &Effect) -> u8 {
    match effect {
        Effect::AtOnce => 0,
        Effect::Approval { .. } => 1,
        Effect::Never => 2,
    }
}

/// Whether two rules can never hold for the same thing, as far as is easily seen.
fn are_apart(a: &Rule, b: &Rule) -> bool {
    let who = |rule: &Rule| if rule.who.is_empty() { Who::ALL.to_vec() } else { rule.who.clone() };
    let one = who(a);
    if !who(b).iter().any(|it| one.contains(it)) {
        return true;
    }
    let one = types_of(&a.actions);
    if !types_of(&b.actions).iter().any(|it| one.contains(it)) {
        return true;
    }
    let bounds = |rule: &Rule| {
        let number = |word: &Option<String>| word.as_deref().and_then(severity);
        (number(&rule.severity_from).unwrap_or(0), number(&rule.severity_to).unwrap_or(99))
    };
    let (one, other) = (bounds(a), bounds(b));
    if one.0 > other.1 || other.0 > one.1 {
        return true;
    }
    let bounds = |rule: &Rule| {
        (
            rule.confidence_from.map_or(0, Confidence::number),
            rule.confidence_to.map_or(99, Confidence::number),
        )
    };
    let (one, other) = (bounds(a), bounds(b));
    one.0 > other.1 || other.0 > one.1
}

/// The earlier rules that a rule gives way to: those it would overrule and that are not as strict.
fn exceptions<'a>(earlier: &'a [Rule], rule: &Rule) -> impl Iterator<Item = &'a Rule> {
    let own = strictness(&rule.effect);
    earlier.iter().filter(move |it| {
        let other = strictness(&it.effect);
        (other < own || (other == own && other == 1)) && !are_apart(it, rule)
    })
}

/// The policy of a form: the grant, and each rule in its order.
#[must_use]
pub fn write(rules: &[Rule]) -> String {
    let mut text = String::from(GRANT_TEXT);
    for (place, rule) in rules.iter().enumerate() {
        let earlier = rules.get(..place).unwrap_or_default();
        write_rule(&mut text, rule, earlier);
    }
    text
}

fn write_rule(text: &mut String, rule: &Rule, earlier: &[Rule]) {
    let _ = write!(text, "\n@id({})\n@title({})\n", quoted(&rule.id), quoted(&rule.title));
    if let Effect::Approval { by, quorum, within, fallback } = &rule.effect {
        let _ = writeln!(
            text,
            "@by({})\n@quorum(\"{quorum}\")\n@within(\"{within}\")\n@fallback({})",
            quoted(by.word()),
            quoted(fallback.word())
        );
    }
    let effect = if rule.effect == Effect::AtOnce { "permit" } else { "forbid" };
    if rule.actions.is_empty() {
        let _ = writeln!(text, "{effect} (principal, action, resource)");
    } else {
        let actions = entities("Action", words(&rule.actions));
        let _ = writeln!(text, "{effect} (principal, action in {actions}, resource)");
    }
    for condition in conditions(rule) {
        let _ = writeln!(text, "when {{ {condition} }}");
    }
    if let Effect::Approval { by, quorum, within, fallback } = &rule.effect {
        let _ = writeln!(text, "unless {{ context.approvals.{} >= {quorum} }}", by.word());
        if *fallback == Fallback::Proceed {
            let _ = writeln!(text, "unless {{ context.waited >= {within} }}");
        }
    }
    if rule.effect != Effect::AtOnce {
        for it in exceptions(earlier, rule) {
            let _ = writeln!(text, "unless {{ {} }}", whole(it));
        }
    }
    text.truncate(text.trim_end().len());
    text.push_str(";\n");
}

/// The rules of a text that a form could have written; `None` for any other.
#[must_use]
pub fn read(policies: &[Policy]) -> Option<Vec<Rule>> {
    let (grant, rest) = policies.split_first()?;
    if grant.annotation("id") != Some(GRANT) {
        return None;
    }
    let mut rules = Vec::new();
    for policy in rest {
        let mut rule = read_rule(policy)?;
        rule.check().ok()?;
        rules.push(rule);
    }
    let again = super::policy::parse(&write(&rules)).ok()?;
    let same = |a: &Policy, b: &Policy| match (a.to_json(), b.to_json()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    };
    let all = again.len() == policies.len() && again.iter().zip(policies).all(|(a, b)| same(a, b));
    all.then_some(rules)
}

fn read_rule(policy: &Policy) -> Option<Rule> {
    let noted = |key: &str| policy.annotation(key);
    let effect = match (policy.effect(), noted("by")) {
        (CedarEffect::Permit, _) => Effect::AtOnce,
        (CedarEffect::Forbid, None) => Effect::Never,
        (CedarEffect::Forbid, Some(by)) => Effect::Approval {
            by: By::read(by)?,
            quorum: noted("quorum")?.parse().ok()?,
            within: noted("within")?.parse().ok()?,
            fallback: Fallback::read(noted("fallback")?)?,
        },
    };
    let mut rule = Rule {
        id: noted("id")?.to_owned(),
        title: noted("title")?.to_owned(),
        actions: Vec::new(),
        things: Things::default(),
        severity_from: None,
        severity_to: None,
        confidence_from: None,
        confidence_to: None,
        hours: None,
        who: Vec::new(),
        effect,
    };
    let json = policy.to_json().ok()?;
    rule.actions = ids(json.get("action")?, "Action");
    for condition in json.get("conditions")?.as_array()? {
        if condition.get("kind")?.as_str()? == "when" {
            read_condition(&mut rule, condition.get("body")?)?;
        }
    }
    Some(rule)
}

/// Fills in the field that a condition of a form is about.
fn read_condition(rule: &mut Rule, body: &Value) -> Option<()> {
    let zones = ids(body, "Zone");
    if let Some(zone) = zones.first() {
        let first = |operator: &str| numbers(body, operator).first().copied();
        let mut days = Vec::new();
        walk(body, &mut |it| {
            if let (true, Some(set)) = (days.is_empty(), it.get("Set").and_then(Value::as_array)) {
                days = set.iter().filter_map(|day| day.get("Value")?.as_i64()).collect();
            }
        });
        rule.hours = Some(Hours {
            zone: zone.clone(),
            days,
            from: first(">=")?,
            to: first("<")?,
            outside: body.get("!").is_some(),
        });
        return Some(());
    }
    let from = numbers(body, ">=").first().copied();
    let to = numbers(body, "<=").first().copied();
    if mentions(body, "severity") {
        let word = |number: Option<i64>| {
            let number = i16::try_from(number?).ok()?;
            Severity::from_code(number).map(|it| it.word().to_owned())
        };
        (rule.severity_from, rule.severity_to) = (word(from), word(to));
    } else if mentions(body, "confidence") {
        let word = |number: Option<i64>| {
            Confidence::ALL.iter().copied().find(|it| Some(it.number()) == number)
        };
        (rule.confidence_from, rule.confidence_to) = (word(from), word(to));
    } else if body.get("contains").is_some() {
        rule.who = ids(body, "Requester").iter().filter_map(|word| Who::read(word)).collect();
    } else {
        rule.things = Things {
            devices: ids(body, "Device"),
            device_groups: ids(body, "DeviceGroup"),
            users: ids(body, "User"),
            high_value: mentions(body, "highValue"),
        };
    }
    Some(())
}

/// Looks at every part of an expression.
pub(super) fn walk(value: &Value, look: &mut impl FnMut(&Value)) {
    look(value);
    match value {
        Value::Array(all) => all.iter().for_each(|it| walk(it, look)),
        Value::Object(all) => all.values().for_each(|it| walk(it, look)),
        _ => {}
    }
}

/// The ids of the entities of a type that an expression or a scope names, in their order.
pub(super) fn ids(value: &Value, kind: &str) -> Vec<String> {
    let mut found = Vec::new();
    walk(value, &mut |it| {
        let of_kind = it.get("type").and_then(Value::as_str) == Some(kind);
        if let (true, Some(id)) = (of_kind, it.get("id").and_then(Value::as_str)) {
            found.push(id.to_owned());
        }
    });
    found
}

/// What stands on the right of an operator, where it is a number.
fn numbers(value: &Value, operator: &str) -> Vec<i64> {
    let mut found = Vec::new();
    walk(value, &mut |it| {
        let right = it.get(operator).and_then(|it| it.get("right")?.get("Value")?.as_i64());
        found.extend(right);
    });
    found
}

/// Whether an expression reads an attribute of this name.
pub(super) fn mentions(value: &Value, attribute: &str) -> bool {
    let mut found = false;
    walk(value, &mut |it| {
        let read = it.get(".").or_else(|| it.get("has"));
        let name = read.and_then(|it| it.get("attr")).and_then(Value::as_str);
        found = found || name == Some(attribute);
    });
    found
}
