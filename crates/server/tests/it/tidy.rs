//! Rules of this repository that no compiler checks.
//!
//! A rule that fails names every place that breaks it. An exception is written here with its
//! reason, and one that is no longer needed fails as well, so that the lists only ever shrink.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Uses against the order of `lib.rs`: user, used, and why that is right.
const AGAINST_THE_ORDER: &[(&str, &str, &str)] = &[];

/// Permissions that guard nothing yet, and why they are known already.
const GUARD_NOTHING: &[(&str, &str)] =
    &[("HuntingRead", "clients ask for it by name; there is no hunting yet")];

/// Of the checkout that runs, which need not be the one that was compiled: they may share a folder
/// for what is built.
fn crate_root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo").into())
}

fn repository() -> &'static Path {
    crate_root().ancestors().nth(2).unwrap_or_else(|| crate_root())
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below a folder, in order; `target`, dependencies and hidden folders are not ours.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() {
                let foreign = ["target", "node_modules", "riposte-data"].contains(&name);
                if !foreign && (!name.starts_with('.') || name == ".ci") {
                    folders.push(path);
                }
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

/// The part of a source file that is not a test: up to the tests at its foot, without comments.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let text = text.get(..end).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.fold(String::new(), |mut code, line| {
        let _ = writeln!(code, "{line}");
        code
    })
}

/// The files that exist for tests alone: `#[cfg(test)] mod name;` in the file above them.
fn test_files(sources: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for source in sources {
        let text = read(source);
        for (at, mark) in text.match_indices("#[cfg(test)]\n") {
            let rest = text.get(at + mark.len()..).unwrap_or_default().trim_start();
            let rest = ["pub(crate) ", "pub "]
                .iter()
                .find_map(|visible| rest.strip_prefix(visible))
                .unwrap_or(rest);
            let Some(name) = rest.strip_prefix("mod ").and_then(|rest| {
                rest.split_once(';').map(|(name, _)| name).filter(|name| word(name) == *name)
            }) else {
                continue;
            };
            let stem = source.with_extension("");
            let own = ["mod", "lib", "main"].iter().any(|own| stem.ends_with(own));
            let folder = if own { stem.parent().unwrap_or(&stem).to_owned() } else { stem };
            found.insert(folder.join(format!("{name}.rs")));
            found.insert(folder.join(name).join("mod.rs"));
        }
    }
    found
}

/// The sources of the server that end up in the program, with their text without tests.
fn program() -> Vec<(PathBuf, String)> {
    let src = crate_root().join("src");
    let sources: Vec<PathBuf> = files(&src).into_iter().filter(|path| is_rust(path)).collect();
    let tests = test_files(&sources);
    let own = sources.into_iter().filter(|path| !tests.contains(path));
    own.map(|path| (path.clone(), code(&read(&path)))).collect()
}

/// The path as people would name it.
fn shown(path: &Path) -> String {
    path.strip_prefix(repository()).unwrap_or(path).display().to_string()
}

/// The word a text begins with.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// The modules of `lib.rs` in their order, each with the number of its group: modules without an
/// empty line or a comment between them, which rustfmt keeps in the order of the alphabet.
fn declared() -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut group = 0;
    for line in read(&crate_root().join("src/lib.rs")).lines() {
        let name = line.strip_prefix("pub ").unwrap_or(line).strip_prefix("mod ");
        match name.and_then(|name| name.strip_suffix(';')) {
            Some(name) => found.push((name.to_owned(), group)),
            None => group += 1,
        }
    }
    found
}

/// The module of `lib.rs` a source file belongs to; `None` for `lib.rs` and `main.rs`.
fn module_of(path: &Path) -> Option<String> {
    let inner = path.strip_prefix(crate_root().join("src")).ok()?;
    let top = inner.iter().next()?.to_str()?;
    let name = top.strip_suffix(".rs").unwrap_or(top);
    (!matches!(name, "lib" | "main")).then(|| name.to_owned())
}

/// The modules of this crate that a text names by `crate::…`.
fn uses(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, mark) in code.match_indices("crate::") {
        let before = code.get(..at).unwrap_or_default();
        if before.ends_with(|c: char| c == '_' || c == '$' || c.is_ascii_alphanumeric()) {
            continue;
        }
        let rest = code.get(at + mark.len()..).unwrap_or_default();
        let Some(list) = rest.strip_prefix('{') else {
            found.insert(word(rest).to_owned());
            continue;
        };
        // The first word of each member of the outermost list.
        let (mut depth, mut fresh) = (0_u32, true);
        for (at, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => fresh = true,
                c if fresh && !c.is_whitespace() => {
                    found.insert(word(list.get(at..).unwrap_or_default()).to_owned());
                    fresh = false;
                }
                _ => {}
            }
        }
    }
    found.retain(|name| name.starts_with(|c: char| c.is_ascii_lowercase()) && name != "self");
    found
}

/// User and used, with the files where that happens.
fn dependencies() -> BTreeMap<(String, String), Vec<String>> {
    let mut found: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for (path, code) in program() {
        let Some(user) = module_of(&path) else { continue };
        for used in uses(&code) {
            if used != user {
                found.entry((user.clone(), used)).or_default().push(shown(&path));
            }
        }
    }
    found
}

fn none(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{what}:\n  {}\n", faults.join("\n  "));
}

#[test]
fn every_module_is_declared_in_lib_rs() {
    let declared: BTreeSet<String> = declared().into_iter().map(|(name, _)| name).collect();
    let there: BTreeSet<String> =
        program().iter().filter_map(|(path, _)| module_of(path)).collect();
    let mut faults: Vec<String> =
        there.difference(&declared).map(|name| format!("{name} is not declared")).collect();
    faults.extend(declared.difference(&there).map(|name| format!("{name} has no file")));
    none("modules and lib.rs differ", &faults);
}

#[test]
fn a_module_uses_only_those_above_it_in_lib_rs() {
    let place: BTreeMap<String, (usize, usize)> = declared()
        .into_iter()
        .enumerate()
        .map(|(place, (name, group))| (name, (group, place)))
        .collect();
    let mut excused: BTreeSet<(&str, &str)> =
        AGAINST_THE_ORDER.iter().map(|(user, used, _)| (*user, *used)).collect();
    let mut faults = Vec::new();
    let dependencies = dependencies();
    for ((user, used), at) in &dependencies {
        let (Some(lower), Some(upper)) = (place.get(user), place.get(used)) else { continue };
        // Within a group the alphabet decides the order; there only a circle is wrong.
        if upper.0 > lower.0 && !excused.remove(&(user.as_str(), used.as_str())) {
            faults.push(format!("{user} uses {used}, which is below it: {}", at.join(", ")));
        }
    }
    faults.extend(excused.iter().map(|(user, used)| format!("{user} no longer uses {used}")));
    none("lib.rs is not in the order of dependency", &faults);
}

#[test]
fn modules_do_not_use_each_other_in_a_circle() {
    let dependencies = dependencies();
    let reaches = |from: &str, goal: &str| {
        let mut seen = BTreeSet::from([from.to_owned()]);
        let mut open = vec![from.to_owned()];
        while let Some(here) = open.pop() {
            let next = dependencies.keys().filter(|(user, _)| *user == here);
            for (_, used) in next {
                if seen.insert(used.clone()) {
                    open.push(used.clone());
                }
            }
        }
        seen.contains(goal)
    };
    let faults: Vec<String> = dependencies
        .iter()
        .filter(|((user, used), _)| reaches(used, user))
        .map(|((user, used), at)| format!("{user} uses {used}: {}", at.join(", ")))
        .collect();
    none("modules use each other in a circle", &faults);
}

#[test]
fn the_reader_of_uses_sees_every_spelling() {
    let code = "use crate::{\n  backup, demo::{self, story},\n  tenant::caller::Caller,\n};\n\
                fn f() { crate::worker::run(); my_crate::x(); $crate::y!(); }\n\
                pub(crate) use crate::id::TenantNo;";
    let found: Vec<String> = uses(code).into_iter().collect();
    assert_eq!(found, ["backup", "demo", "id", "tenant", "worker"]);
}

#[test]
fn every_source_file_says_what_it_is() {
    let mut faults = Vec::new();
    for path in files(&crate_root().join("src")).into_iter().filter(|path| is_rust(path)) {
        if !read(&path).starts_with("//! ") {
            faults.push(shown(&path));
        }
    }
    none("files without a header", &faults);
}

#[test]
fn what_is_left_to_do_has_an_issue() {
    // Spelt apart so that this file does not break its own rule.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let mut faults = Vec::new();
    for path in files(repository()) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for (number, line) in text.lines().enumerate() {
            for mark in marks {
                for (at, _) in line.match_indices(mark) {
                    let rest = line.get(at + mark.len()..).unwrap_or_default();
                    let alone = !rest.starts_with(|c: char| c.is_ascii_alphanumeric());
                    let issue = rest.strip_prefix("(#").map(word).unwrap_or_default();
                    let numbered = !issue.is_empty() && issue.bytes().all(|b| b.is_ascii_digit());
                    if alone && !numbered {
                        faults.push(format!("{}:{}: {}", shown(&path), number + 1, line.trim()));
                    }
                }
            }
        }
    }
    none("marks without an issue number, as in (#12)", &faults);
}

/// Material beside the checkout is for tests, which are skipped without it; whoever clones the
/// repository has none of it.
#[test]
fn nothing_but_tests_knows_of_what_lies_beside_the_checkout() {
    let beside = ["data", "contract", "design", "hooks", "spec"].map(|name| {
        let folder = concat!("sha", "red");
        format!("{folder}/{name}")
    });
    let anywhere = concat!("/work/", "sha", "red");
    let sources: Vec<PathBuf> =
        files(&crate_root().join("src")).into_iter().filter(|path| is_rust(path)).collect();
    let tests = test_files(&sources);
    let mut faults = Vec::new();
    for path in files(repository()) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let for_tests =
            path.components().any(|part| part.as_os_str() == "tests") || tests.contains(&path);
        let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
        let end = text.get(..end).unwrap_or_default().lines().count();
        for (number, line) in text.lines().enumerate() {
            let in_tests = for_tests || number >= end;
            let named = beside.iter().any(|name| line.contains(name.as_str()));
            if line.contains(anywhere) || (named && !in_tests) {
                faults.push(format!("{}:{}: {}", shown(&path), number + 1, line.trim()));
            }
        }
    }
    none("mentions of what lies beside the checkout", &faults);
}

/// The variants of a public enum, from its text.
fn variants(text: &str, name: &str) -> Vec<String> {
    let head = format!("pub enum {name} {{\n");
    let (_, rest) = text.split_once(&head).unwrap_or_else(|| panic!("there is an enum {name}"));
    let inner = rest.split("\n}").next().unwrap_or_default();
    let lines = inner.lines().filter_map(|line| line.strip_prefix("    "));
    let names = lines.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    names.map(|line| word(line).to_owned()).collect()
}

#[test]
fn every_fact_has_a_word_of_its_own() {
    let text = read(&crate_root().join("src/event.rs"));
    let (_, kind) = text.split_once("pub fn kind(").expect("there is kind");
    let (kind, _) = kind.split_once("\n    }\n").expect("kind ends");
    let mut words = BTreeMap::new();
    let mut faults = Vec::new();
    for line in kind.lines() {
        let Some((arm, value)) = line.split_once("=>") else { continue };
        let fact = arm.trim().strip_prefix("Self::").map(word).unwrap_or_default();
        let value = value.trim().trim_end_matches(',').trim_matches('"');
        let (subject, past) = value.split_once('.').unwrap_or_default();
        let plain = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_lowercase())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        if !plain(subject) || !plain(past) {
            faults.push(format!("{fact}: {value} is no subject and past tense"));
        }
        if let Some(other) = words.insert(value.to_owned(), fact.to_owned()) {
            faults.push(format!("{fact} and {other} are both called {value}"));
        }
    }
    let named: BTreeSet<String> = words.into_values().collect();
    let there: BTreeSet<String> = variants(&text, "Fact").into_iter().collect();
    assert!(there.len() > 5, "the facts were not read");
    faults.extend(there.difference(&named).map(|fact| format!("{fact} has no word")));
    none("words of facts", &faults);
}

fn is_demo(path: &Path) -> bool {
    module_of(path).is_some_and(|module| module == "demo")
}

#[test]
fn every_permission_guards_something() {
    let permissions = variants(&read(&crate_root().join("src/permission.rs")), "Permission");
    assert!(permissions.len() > 5, "the permissions were not read");
    let sources = program();
    let mut faults = Vec::new();
    for name in permissions {
        let used = sources.iter().any(|(path, code)| {
            // The demo hands permissions out; that guards nothing.
            let guards = !path.ends_with("src/permission.rs") && !is_demo(path);
            guards
                && code
                    .match_indices("Permission::")
                    .any(|(at, mark)| word(code.get(at + mark.len()..).unwrap_or_default()) == name)
        });
        let excused = GUARD_NOTHING.iter().any(|(excused, _)| *excused == name);
        if used && excused {
            faults.push(format!("{name} guards something by now; take it off the list"));
        } else if !used && !excused {
            faults.push(format!("{name} is used nowhere"));
        }
    }
    none("permissions", &faults);
}

/// The program calls no program and no host, but a trace collector where one is configured and the
/// identity providers and products that administrators named, through the one module that looks at
/// addresses; and the demo starts what its devices are made of. The stores are reached through sea-orm, at the
/// address that was told.
#[test]
fn the_program_starts_no_process_and_calls_nobody_unasked() {
    // Where something like it may stand, and why.
    let excused = [
        ("log.rs", "opentelemetry_otlp", "traces, when a collector is configured"),
        ("outbound.rs", "reqwest", "identity providers and products, when they are named"),
        ("notification/imap.rs", "TcpStream::connect", "the mailbox, when one is named"),
        ("demo/agents.rs", "Command::new", "the demo's devices, when root starts a demo"),
        ("demo/inside.rs", "Command::new", "what runs inside them, which `serve` never reaches"),
        ("demo/inside.rs", "TcpStream::connect", "from one of their namespaces to another"),
    ];
    let outward = [
        "process::Command",
        "Command::new",
        "TcpStream::connect",
        "UnixStream::connect",
        "UdpSocket",
        "TcpSocket",
        "reqwest",
        "ureq",
        "hyper::client",
        "hyper_util::client",
        "libloading",
        "opentelemetry_otlp",
    ];
    let mut faults = Vec::new();
    for (path, code) in program() {
        for word in outward.iter().filter(|word| code.contains(**word)) {
            let inner = path.strip_prefix(crate_root().join("src")).unwrap_or(&path);
            let fine = excused
                .iter()
                .any(|(file, excused, _)| inner == Path::new(file) && excused == word);
            if !fine {
                faults.push(format!("{}: {word}", shown(&path)));
            }
        }
    }
    none("ways out of the program", &faults);
    let log = program().into_iter().find(|(path, _)| path.ends_with("src/log.rs"));
    let log = log.map(|(_, code)| code).unwrap_or_default();
    assert!(log.contains("otlp_endpoint"), "traces leave only where a collector is configured");
}

/// What README.md and ARCHITECTURE.md promise is shown by a test that exists, named as
/// `file::name`.
#[test]
fn every_test_a_document_names_exists() {
    let mut tests = BTreeMap::new();
    for path in files(&crate_root().join("tests/it")).into_iter().filter(|path| is_rust(path)) {
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        tests.insert(name, read(&path));
    }
    let mut seen = 0;
    let mut faults = Vec::new();
    for document in ["README.md", "ARCHITECTURE.md"] {
        let text = read(&repository().join(document));
        for quoted in text.split('`').skip(1).step_by(2) {
            let Some((file, name)) = quoted.split_once("::") else { continue };
            if word(file) != file || word(name) != name {
                continue;
            }
            let Some(text) = tests.get(file) else { continue };
            seen += 1;
            if !text.contains(&format!("fn {name}(")) {
                faults.push(format!("{document}: {quoted}"));
            }
        }
    }
    none("tests that documents name and nobody wrote", &faults);
    assert!(seen > 5, "the names of tests were not read");
}

/// Two schemas of one name become one in the document, without a word.
#[test]
fn every_schema_of_the_document_has_a_name_of_its_own() {
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, code) in program() {
        for (at, _) in code.match_indices("ToSchema)]") {
            let rest = code.get(at..).unwrap_or_default();
            let found = ["struct ", "enum "].iter().filter_map(|kind| {
                let place = rest.find(kind)?;
                Some((place, word(rest.get(place + kind.len()..)?).to_owned()))
            });
            if let Some((_, name)) = found.min() {
                seen.entry(name).or_default().push(shown(&path));
            }
        }
    }
    assert!(seen.len() > 10, "the schemas were not read");
    let faults: Vec<String> = seen
        .into_iter()
        .filter(|(_, at)| at.len() > 1)
        .map(|(name, at)| format!("{name}: {}", at.join(", ")))
        .collect();
    none("schemas of one name", &faults);
}
