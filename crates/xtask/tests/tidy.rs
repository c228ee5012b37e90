//! The invariants of this workspace, each as a test. The rules are in `src/tidy`; a failure says place, thing,
//! expectation, for all places at once.

use std::sync::LazyLock;

use xtask::{
    tidy::{self, Text, dialects, files, folders, imports, manifests, promises},
    workspace::Workspace,
};

static WORKSPACE: LazyLock<Workspace> = LazyLock::new(|| Workspace::load().expect("cargo metadata"));
static TEXTS: LazyLock<Vec<Text>> = LazyLock::new(|| tidy::texts(&WORKSPACE.root).expect("git ls-files"));

fn sidecars() -> Vec<&'static str> {
    WORKSPACE.packages.iter().filter(|package| package.is_sidecar()).map(|package| package.name.as_str()).collect()
}

#[track_caller]
fn hold(problems: &[String]) {
    assert!(problems.is_empty(), "{} found:\n{}\n", problems.len(), problems.join("\n"));
}

#[test]
fn nobody_imports_what_the_table_does_not_draw() {
    hold(&imports::problems(&WORKSPACE.packages));
}

#[test]
fn mains_are_tables_of_contents() {
    hold(&files::long_mains(&TEXTS, &[sidecars(), vec!["xtask"]].concat()));
}

#[test]
fn files_are_short_enough_to_read() {
    hold(&files::too_long(&TEXTS));
}

#[test]
fn every_module_opens_with_a_sentence() {
    hold(&files::without_opening(&TEXTS));
}

#[test]
fn unsafe_is_for_the_heap_only() {
    hold(&files::unsafe_code(&TEXTS));
}

#[test]
fn no_file_names_the_machine_it_was_made_on() {
    hold(&files::foreign_words(&TEXTS));
}

#[test]
fn versions_and_lints_are_said_once() {
    hold(&manifests::problems(&TEXTS));
}

#[test]
fn every_sidecar_is_complete_under_its_name() {
    hold(&folders::problems(&WORKSPACE.root, &sidecars(), &WORKSPACE.recipe_names().expect("images/")));
    let of_several = WORKSPACE.recipes(&[]).expect("images/*.toml").into_iter().find(|(name, _)| name == "all");
    let strangers = of_several.map(|(_, recipe)| recipe.sidecars).unwrap_or_default();
    let strangers: Vec<_> = strangers.into_iter().filter(|name| !sidecars().contains(&name.as_str())).collect();
    assert!(strangers.is_empty(), "images/all.toml: {strangers:?}: expected sidecars");
}

#[test]
fn only_dialects_spell_the_peers_words() {
    let recipes = WORKSPACE.recipes(&[]).expect("images/*.toml");
    let of = |name: &str, words: &[String]| dialects::problems(&TEXTS, name, words);
    hold(&recipes.iter().flat_map(|(name, recipe)| of(name, &recipe.peer_words)).collect::<Vec<_>>());
}

#[test]
fn every_promise_names_what_holds_it() {
    hold(&promises::problems(&TEXTS));
}
