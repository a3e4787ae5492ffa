//! A policy as it is evaluated: Cedar, checked strictly against what there is to decide about.
//!
//! The principal is who asks (`Requester`), the action one of the catalogue, the resource a `Thing`
//! that is in the devices, groups and users it belongs to; `Zone` entities tell the hour on the wall
//! of their time zone. Invariants: a policy only narrows what the grant gives, whatever it says,
//! because it is asked besides and never instead; what goes wrong while it is evaluated, where Cedar
//! by itself would pass over the rule, waits for a person of the customer. Pure.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::str::FromStr as _;
use std::sync::OnceLock;

use cedar_policy::{
    Authorizer, Context, Decision, Effect, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    Policy as CedarPolicy, PolicyId, PolicySet, Request, RestrictedExpression, Schema,
    ValidationMode, Validator,
};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::authority::cedar::{self, ids, mentions};
use crate::authority::rule::{
    By, Fallback, GRANT, GROUPS, LONGEST_MIN, MOST_PEOPLE, Rule, Who, groups_of,
};
use crate::catalog::{CATALOG, Entry};
use crate::clock::Timestamp;

/// The longest text of a policy, in bytes.
pub const LONGEST: usize = 64 * 1024;
/// Rules of a text at most.
const MOST_POLICIES: usize = 100;
/// Brackets inside each other at most.
const DEEPEST: usize = 24;
/// Operators of one rule at most: an expression of so many is that deep.
const MOST_OPERATORS: usize = 1_000;
/// Reasons named at most.
const MOST_FAULTS: usize = 20;
/// The stack on which a text is read: reading goes as deep as the text does.
const STACK: usize = 64 * 1024 * 1024;

/// What is wrong with a text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// The rule, when it is known which.
    pub rule: Option<String>,
    /// Why, for people.
    pub because: String,
}

impl Fault {
    fn new(rule: Option<&str>, because: impl Into<String>) -> Self {
        Self { rule: rule.map(str::to_owned), because: because.into() }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(rule) = &self.rule {
            write!(f, "rule {rule}: ")?;
        }
        f.write_str(&self.because)
    }
}

/// Faults as one sentence.
#[must_use]
pub fn told(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Approvals that count, by people other than who asked.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Approvals {
    /// By different people of the customer.
    pub customer: i64,
    /// By different experts.
    pub experts: i64,
}

impl Approvals {
    /// How many count for who is asked.
    #[must_use]
    pub fn of(self, by: By) -> i64 {
        match by {
            By::Customer => self.customer,
            By::Experts => self.experts,
            By::Either => self.customer + self.experts,
        }
    }
}

/// What a policy is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Who asks for it.
    pub who: Who,
    /// The type of action.
    pub entry: &'static Entry,
    /// The names and the id of the device, in lower case.
    pub devices: Vec<String>,
    /// Its groups, in lower case.
    pub groups: Vec<String>,
    /// The names of the user, in lower case.
    pub users: Vec<String>,
    /// Whether the device or the user is of high value.
    pub high_value: bool,
    /// How severe the incident is; 0 without one.
    pub severity: i64,
    /// How sure it is that it is a threat; 0 without one.
    pub confidence: i64,
    /// Who has approved.
    pub approvals: Approvals,
    /// For how many minutes it has waited for an approval.
    pub waited: i64,
    /// The moment.
    pub now: Timestamp,
}

/// People that a rule asks for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Need {
    /// The rule.
    pub rule: String,
    /// What people call it.
    pub title: String,
    /// Whose approval.
    pub by: By,
    /// Of how many different people.
    pub quorum: i64,
    /// For how long it waits, in minutes.
    pub within: i64,
    /// What follows then.
    pub fallback: Fallback,
}

/// The rule that decided.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// Its id.
    pub rule: String,
    /// What people call it.
    pub title: String,
}

/// What a policy says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ruling {
    /// It may be done at once, as far as the grant goes; the rule when one says so.
    AtOnce(Option<Why>),
    /// Not before people have approved.
    Waits(Vec<Need>),
    /// Not at all.
    Never(Why),
}

impl Ruling {
    /// Both hold: the stricter.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never(why), _) | (_, Self::Never(why)) => Self::Never(why),
            (Self::Waits(mut needs), Self::Waits(more)) => {
                needs.extend(more);
                Self::Waits(needs)
            }
            (Self::Waits(needs), Self::AtOnce(_)) | (Self::AtOnce(_), Self::Waits(needs)) => {
                Self::Waits(needs)
            }
            (Self::AtOnce(one), Self::AtOnce(other)) => Self::AtOnce(one.or(other)),
        }
    }
}

struct Noted {
    place: usize,
    title: String,
    need: Option<Need>,
}

/// See the module.
pub struct Policy {
    policies: Vec<CedarPolicy>,
    set: PolicySet,
    noted: HashMap<String, Noted>,
    zones: Vec<(String, TimeZone)>,
    warnings: Vec<String>,
    form: Option<Vec<Rule>>,
}

/// What a policy decides about, in Cedar's words.
#[must_use]
pub fn schema_text() -> String {
    let mut text = String::from(
        "// Who asks.\n\
         entity Requester enum [\"expert\", \"customer\", \"automatic\"];\n\
         // By name or id, in lower case.\n\
         entity Device, DeviceGroup, User;\n\
         // A time zone by its IANA name: Monday is 1, minutes of the day by the clock on the wall.\n\
         entity Zone { weekday: Long, minute: Long };\n\
         // What is acted on.\n\
         entity Thing in [Device, DeviceGroup, User] { kind: String, highValue: Bool };\n\
         type Question = {\n  \
           // Of the incident: 0 unknown or none, 1 informational, 2 low, 3 medium, 4 high.\n  \
           severity: Long,\n  \
           // 0 nobody says it is a threat, 1 evidence was judged malicious, 2 a true positive.\n  \
           confidence: Long,\n  \
           // Different people who have approved.\n  \
           approvals: { customer: Long, experts: Long, either: Long },\n  \
           // Minutes for which it has waited for them.\n  \
           waited: Long,\n\
         };\n",
    );
    for (group, title) in GROUPS {
        let _ = writeln!(text, "// {title}.\naction \"{group}\";");
    }
    for entry in CATALOG {
        let groups: Vec<String> = groups_of(entry).map(|group| format!("\"{group}\"")).collect();
        let within =
            if groups.is_empty() { String::new() } else { format!(" in [{}]", groups.join(", ")) };
        let _ = writeln!(
            text,
            "action \"{}\"{within} appliesTo {{ principal: Requester, resource: Thing, context: \
             Question }};",
            entry.word
        );
    }
    text
}

fn schema() -> Result<&'static Schema, Fault> {
    static SCHEMA: OnceLock<Result<Schema, String>> = OnceLock::new();
    SCHEMA
        .get_or_init(|| Schema::from_str(&schema_text()).map_err(|error| error.to_string()))
        .as_ref()
        .map_err(|error| Fault::new(None, format!("the schema is damaged: {error}")))
}

/// The limits of a text, before anything looks closer: what is deep costs stack wherever it goes.
fn within_limits(text: &str) -> Result<(), Fault> {
    if text.len() > LONGEST {
        return Err(Fault::new(
            None,
            format!("the policy has {} bytes, the limit is {LONGEST}", text.len()),
        ));
    }
    if text.contains('\0') {
        return Err(Fault::new(None, "the policy contains a null character"));
    }
    let (mut depth, mut operators, mut policies) = (0_usize, 0_usize, 1_usize);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                while let Some(c) = chars.next() {
                    match c {
                        '\\' => drop(chars.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '/' if chars.peek() == Some(&'/') => while chars.next_if(|c| *c != '\n').is_some() {},
            '(' | '[' | '{' => {
                depth += 1;
                operators += 1;
            }
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ';' => {
                policies += 1;
                operators = 0;
            }
            '&' | '|' | '!' | '.' | '+' | '-' | '*' | '<' | '>' | '=' | '?' => operators += 1,
            c if c.is_ascii_alphabetic() => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    word.push(c);
                }
                if ["if", "then", "else", "in", "has", "like", "is"].contains(&word.as_str()) {
                    operators += 1;
                }
            }
            _ => {}
        }
        if depth > DEEPEST {
            return Err(Fault::new(
                None,
                format!("rule {policies} has brackets inside each other more than {DEEPEST} deep"),
            ));
        }
        if operators > MOST_OPERATORS {
            return Err(Fault::new(
                None,
                format!("rule {policies} has more than {MOST_OPERATORS} operators"),
            ));
        }
    }
    if policies > MOST_POLICIES + 1 {
        return Err(Fault::new(None, format!("a policy has at most {MOST_POLICIES} rules")));
    }
    Ok(())
}

/// The policies of a text in their order, each under the name of its `@id`.
pub(super) fn parse(text: &str) -> Result<Vec<CedarPolicy>, Vec<Fault>> {
    within_limits(text).map_err(|fault| vec![fault])?;
    let set = PolicySet::from_str(text).map_err(|errors| {
        let told = errors.iter().take(MOST_FAULTS);
        told.map(|error| Fault::new(None, format!("it cannot be read: {error}")))
            .collect::<Vec<_>>()
    })?;
    if set.templates().next().is_some() {
        return Err(vec![Fault::new(None, "it has a template: name things instead of ?slots")]);
    }
    let place = |policy: &CedarPolicy| {
        let id: &str = policy.id().as_ref();
        id.trim_start_matches("policy").parse::<usize>().unwrap_or(usize::MAX)
    };
    let mut all: Vec<CedarPolicy> = set.policies().cloned().collect();
    all.sort_by_key(place);
    Ok(all)
}

impl Policy {
    /// Reads and checks a text, on a stack of its own.
    ///
    /// # Errors
    /// Every fault that was found, each with its rule where that is known.
    pub fn read(text: &str) -> Result<Self, Vec<Fault>> {
        within_limits(text).map_err(|fault| vec![fault])?;
        let failed = || vec![Fault::new(None, "it could not be looked at")];
        std::thread::scope(|scope| {
            std::thread::Builder::new()
                .stack_size(STACK)
                .spawn_scoped(scope, || Self::read_here(text))
                .map_err(|_| failed())?
                .join()
                .map_err(|_| failed())?
        })
    }

    fn read_here(text: &str) -> Result<Self, Vec<Fault>> {
        let schema = schema().map_err(|fault| vec![fault])?;
        let parsed = parse(text)?;
        let (mut faults, mut noted, mut set) = (Vec::new(), HashMap::new(), PolicySet::new());
        let (mut policies, mut zones) = (Vec::new(), BTreeSet::new());
        for (place, policy) in parsed.into_iter().enumerate() {
            let Some(id) = policy.annotation("id").map(str::to_owned) else {
                faults.push(Fault::new(None, format!("rule {} has no @id", place + 1)));
                continue;
            };
            faults.extend(annotations(&policy, &id));
            faults.extend(names(&policy, &id, &mut zones));
            let title = policy.annotation("title").unwrap_or(&id).to_owned();
            let need = need(&policy, &id, &title).unwrap_or_else(|fault| {
                faults.push(fault);
                None
            });
            let known = Noted { place, title, need };
            if noted.insert(id.clone(), known).is_some() {
                faults.push(Fault::new(Some(&id), "another rule has the same @id"));
                continue;
            }
            let policy = policy.new_id(PolicyId::new(&id));
            if let Err(error) = set.add(policy.clone()) {
                faults.push(Fault::new(Some(&id), error.to_string()));
            }
            policies.push(policy);
        }
        let checked = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
        let mut said = HashSet::new();
        for error in checked.validation_errors() {
            let id: &str = error.policy_id().as_ref();
            let told = error.to_string();
            let told = told.strip_prefix(&format!("for policy `{id}`, ")).unwrap_or(&told);
            // Cedar says the same once for each action that a rule may be about.
            if said.insert((id.to_owned(), without_actions(told))) {
                faults.push(Fault::new(Some(id), plain(told)));
            }
        }
        let warnings =
            checked.validation_warnings().map(|warning| plain(&warning.to_string())).collect();
        if !faults.is_empty() {
            faults.truncate(MOST_FAULTS);
            return Err(faults);
        }
        let zones = zones
            .into_iter()
            .filter_map(|name| TimeZone::get(&name).ok().map(|zone| (name, zone)))
            .collect();
        let form = cedar::read(&policies);
        Ok(Self { policies, set, noted, zones, warnings, form })
    }

    /// The rules in their order.
    #[must_use]
    pub fn policies(&self) -> &[CedarPolicy] {
        &self.policies
    }

    /// The rules of a form, when the text is one that a form writes.
    #[must_use]
    pub fn form(&self) -> Option<&[Rule]> {
        self.form.as_deref()
    }

    /// What looks odd, and is allowed.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether everything that another policy allows without asking for a person, this one allows
    /// only more narrowly: it has each rule of that one, and what it has besides forbids.
    #[must_use]
    pub fn only_narrows(&self, before: &Self) -> bool {
        let text = |policy: &CedarPolicy| policy.to_cedar();
        let kept: HashMap<&PolicyId, Option<String>> =
            self.policies.iter().map(|policy| (policy.id(), text(policy))).collect();
        let old: HashSet<&PolicyId> = before.policies.iter().map(CedarPolicy::id).collect();
        let all_kept = before.policies.iter().all(|policy| {
            let here = kept.get(policy.id()).cloned().flatten();
            here.is_some() && here == text(policy)
        });
        let added = self.policies.iter().filter(|policy| !old.contains(policy.id()));
        all_kept && { added }.all(|policy| policy.effect() == Effect::Forbid)
    }

    /// What it says to a question.
    #[must_use]
    pub fn decide(&self, question: &Question) -> Ruling {
        match self.evaluate(question) {
            Ok(ruling) => ruling,
            Err(because) => in_doubt(&because, question.approvals),
        }
    }

    fn evaluate(&self, question: &Question) -> Result<Ruling, String> {
        let schema = schema().map_err(|fault| fault.to_string())?;
        let (request, entities) = self.request(question, schema)?;
        let response = Authorizer::new().is_authorized(&request, &self.set, &entities);
        if let Some(error) = response.diagnostics().errors().next() {
            return Err(plain(&error.to_string()));
        }
        let mut rules: Vec<(&str, &Noted)> = response
            .diagnostics()
            .reason()
            .filter_map(|id| {
                let id: &str = id.as_ref();
                self.noted.get(id).map(|noted| (id, noted))
            })
            .collect();
        rules.sort_by_key(|(_, noted)| noted.place);
        let why = |(id, noted): &(&str, &Noted)| Why {
            rule: (*id).to_owned(),
            title: noted.title.clone(),
        };
        if response.decision() == Decision::Allow {
            return Ok(Ruling::AtOnce(rules.iter().find(|(id, _)| *id != GRANT).map(why)));
        }
        let mut needs = Vec::new();
        for rule in &rules {
            match &rule.1.need {
                // It has all it asks for and forbids all the same: nobody can lift it.
                Some(need) if question.approvals.of(need.by) < need.quorum => {
                    needs.push(need.clone());
                }
                _ => return Ok(Ruling::Never(why(rule))),
            }
        }
        if needs.is_empty() {
            let title = "no rule permits it".to_owned();
            return Ok(Ruling::Never(Why { rule: GRANT.to_owned(), title }));
        }
        Ok(Ruling::Waits(needs))
    }

    /// A question in Cedar's words, with the few entities it is about.
    fn request(&self, it: &Question, schema: &Schema) -> Result<(Request, Entities), String> {
        let said = |error: &dyn std::fmt::Display| plain(&error.to_string());
        let principal = uid("Requester", it.who.word())?;
        let action = uid("Action", it.entry.word)?;
        let resource = uid("Thing", "it")?;
        let mut within = HashSet::new();
        for (kind, names) in
            [("Device", &it.devices), ("DeviceGroup", &it.groups), ("User", &it.users)]
        {
            for name in names {
                within.insert(uid(kind, name)?);
            }
        }
        let attributes = HashMap::from([
            (
                "kind".to_owned(),
                RestrictedExpression::new_string(it.entry.target.word().to_owned()),
            ),
            ("highValue".to_owned(), RestrictedExpression::new_bool(it.high_value)),
        ]);
        let thing = Entity::new(resource.clone(), attributes, within);
        let mut entities = vec![thing.map_err(|error| said(&error))?];
        let groups: Result<HashSet<EntityUid>, String> =
            groups_of(it.entry).map(|group| uid("Action", group)).collect();
        entities.push(Entity::new_no_attrs(action.clone(), groups?));
        for (name, zone) in &self.zones {
            let (weekday, minute) = on_the_wall(it.now, zone)?;
            let long = RestrictedExpression::new_long;
            let clock = HashMap::from([
                ("weekday".to_owned(), long(weekday)),
                ("minute".to_owned(), long(minute)),
            ]);
            let zone = Entity::new(uid("Zone", name)?, clock, HashSet::new());
            entities.push(zone.map_err(|error| said(&error))?);
        }
        let entities = Entities::from_entities(entities, None).map_err(|error| said(&error))?;
        let long = RestrictedExpression::new_long;
        let approvals = RestrictedExpression::new_record([
            ("customer".to_owned(), long(it.approvals.customer)),
            ("experts".to_owned(), long(it.approvals.experts)),
            ("either".to_owned(), long(it.approvals.of(By::Either))),
        ]);
        let context = Context::from_pairs([
            ("severity".to_owned(), long(it.severity)),
            ("confidence".to_owned(), long(it.confidence)),
            ("approvals".to_owned(), approvals.map_err(|error| said(&error))?),
            ("waited".to_owned(), long(it.waited)),
        ]);
        let context = context.map_err(|error| said(&error))?;
        let request = Request::new(principal, action, resource, context, Some(schema));
        Ok((request.map_err(|error| said(&error))?, entities))
    }
}

/// The day of the week and the minute of the day by the clock on the wall of a time zone.
fn on_the_wall(now: Timestamp, zone: &TimeZone) -> Result<(i64, i64), String> {
    let moment = jiff::Timestamp::from_microsecond(now.micros()).map_err(|e| e.to_string())?;
    let there = zone.to_datetime(moment);
    let weekday = there.date().weekday().to_monday_one_offset();
    Ok((i64::from(weekday), i64::from(there.hour()) * 60 + i64::from(there.minute())))
}

/// What holds while a policy cannot be evaluated: a person of the customer has to say yes.
#[must_use]
pub fn in_doubt(because: &str, approvals: Approvals) -> Ruling {
    if approvals.customer > 0 {
        return Ruling::AtOnce(None);
    }
    Ruling::Waits(vec![Need {
        rule: String::new(),
        title: format!("The policy could not be evaluated: {because}"),
        by: By::Customer,
        quorum: 1,
        within: 24 * 60,
        fallback: Fallback::Refuse,
    }])
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    let kind = EntityTypeName::from_str(kind).map_err(|error| error.to_string())?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

/// A message without the names of actions in it.
fn without_actions(told: &str) -> String {
    let mut pieces = told.split("Action::\"");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |out, piece| out + piece.split_once('"').map_or(piece, |(_, rest)| rest))
}

/// A message of Cedar's in one line.
fn plain(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.chars().take(500).collect()
}

/// Annotations that are none of ours, or say what cannot be.
fn annotations(policy: &CedarPolicy, id: &str) -> Vec<Fault> {
    const KNOWN: [&str; 6] = ["id", "title", "by", "quorum", "within", "fallback"];
    let mut faults = Vec::new();
    let word = !id.is_empty()
        && id.len() <= 64
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !word {
        let shown = id.chars().take(64).flat_map(char::escape_debug).collect::<String>();
        faults.push(Fault::new(Some(&shown), "an @id is 1 to 64 letters, digits, - or _"));
    }
    for (key, value) in policy.annotations() {
        if !KNOWN.contains(&key) {
            faults.push(Fault::new(Some(id), format!("there is no annotation @{}", plain(key))));
        }
        if value.chars().count() > 200 || value.chars().any(char::is_control) {
            faults.push(Fault::new(
                Some(id),
                format!("@{} is one line of 200 characters", plain(key)),
            ));
        }
    }
    faults
}

/// What a rule asks of people, by its annotations.
fn need(policy: &CedarPolicy, id: &str, title: &str) -> Result<Option<Need>, Fault> {
    let noted = |key: &str| policy.annotation(key);
    let all = [noted("by"), noted("quorum"), noted("within"), noted("fallback")];
    let [Some(by), Some(quorum), Some(within), Some(fallback)] = all else {
        if all.iter().any(Option::is_some) {
            return Err(Fault::new(Some(id), "@by, @quorum, @within and @fallback go together"));
        }
        let json =
            policy.to_json().map_err(|error| Fault::new(Some(id), plain(&error.to_string())))?;
        if mentions(&json, "approvals") {
            return Err(Fault::new(
                Some(id),
                "it counts approvals and does not say whose: add @by, @quorum, @within, @fallback",
            ));
        }
        return Ok(None);
    };
    let wrong = |because: String| Fault::new(Some(id), because);
    if policy.effect() == Effect::Permit {
        return Err(wrong(
            "what is permitted asks for no approval: forbid it unless approved".into(),
        ));
    }
    let number = |text: &str, most: i64| {
        text.parse::<i64>().ok().filter(|number| (1..=most).contains(number))
    };
    Ok(Some(Need {
        rule: id.to_owned(),
        title: title.to_owned(),
        by: By::read(by).ok_or_else(|| wrong("@by is customer, experts or either".to_owned()))?,
        quorum: number(quorum, MOST_PEOPLE)
            .ok_or_else(|| wrong(format!("@quorum is a number from 1 to {MOST_PEOPLE}")))?,
        within: number(within, LONGEST_MIN)
            .ok_or_else(|| wrong(format!("@within is minutes from 1 to {LONGEST_MIN}")))?,
        fallback: Fallback::read(fallback)
            .ok_or_else(|| wrong("@fallback is refuse, task or proceed".to_owned()))?,
    }))
}

/// Names that could never be met, and the time zones a rule goes by.
fn names(policy: &CedarPolicy, id: &str, zones: &mut BTreeSet<String>) -> Vec<Fault> {
    let json = match policy.to_json() {
        Ok(json) => json,
        Err(error) => return vec![Fault::new(Some(id), plain(&error.to_string()))],
    };
    let mut faults = Vec::new();
    for zone in ids(&json, "Zone") {
        if TimeZone::get(&zone).is_ok() {
            zones.insert(zone);
        } else {
            faults.push(Fault::new(Some(id), format!("{} is no time zone", plain(&zone))));
        }
    }
    for kind in ["Device", "DeviceGroup", "User"] {
        for name in ids(&json, kind) {
            if name != name.trim().to_lowercase() {
                let shown = plain(&name);
                faults.push(Fault::new(
                    Some(id),
                    format!("{shown}: names are in lower case, without blanks around them"),
                ));
            }
        }
    }
    faults
}
