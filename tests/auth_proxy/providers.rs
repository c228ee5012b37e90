//! The providers by their names, each with a double that answers as it does.

use serde_json::{Value, json};
use test_kit::{Api, HookServer, OpenId, Sidecar, TempDir, http};

use crate::browser::{Browser, COOKIE_SECRET, World, at_provider};

/// GitHub, as it answers: `github` is told what to say of octocat.
fn github() -> Api {
    let api = Api::start();
    api.put("/user", json!({"login": "Octocat", "id": 583_231, "name": "The Octocat", "email": null}));
    // The address that counts is on the second page.
    let mut emails: Vec<Value> = (0..120)
        .map(|n| json!({"email": format!("old{n}@mycompany.com"), "verified": true, "primary": false, "visibility": null}))
        .collect();
    emails.push(json!({"email": "octocat@mycompany.com", "verified": true, "primary": true, "visibility": "private"}));
    api.put("/user/emails", json!(emails));
    let orgs: Vec<_> = (0..150).map(|n| json!({"login": format!("Org-{n}"), "id": n})).collect();
    api.put("/user/orgs", json!(orgs));
    api.put(
        "/user/teams",
        json!([{"name": "The Devs", "slug": "the-devs", "organization": {"login": "Org-1", "id": 1}}]),
    );
    api
}

fn started(api: &Api, app: &HookServer, more: &[&str]) -> Sidecar {
    Sidecar::start(env!("CARGO_BIN_EXE_auth-proxy"))
        .own_admin()
        .args(["oauth2-proxy", "--provider=github", "--http-address=127.0.0.1:0", "--email-domain=mycompany.com"])
        .args([format!("--upstream={}", app.url("/")), format!("--client-id={}", Api::CLIENT)])
        .args([format!("--client-secret={}", Api::SECRET), format!("--validate-url={}", api.url(""))])
        .args([format!("--login-url={}", api.url("/login/oauth/authorize"))])
        .args([format!("--redeem-url={}", api.url("/login/oauth/access_token"))])
        .args(more)
        .env("OAUTH2_PROXY_COOKIE_SECRET", COOKIE_SECRET)
        .env("SIDECAR_ADMIN_ADDR", "127.0.0.1:0")
        .spawn()
}

/// What becomes of a login.
fn outcome(api: &Api, more: &[&str]) -> u16 {
    let app = HookServer::start();
    let proxy = started(api, &app, more);
    let mut browser = Browser::new(&proxy);
    let callback = browser.begin("/");
    browser.get(&callback).status
}

#[test]
fn github_says_who_somebody_is_by_its_api() {
    let (api, app) = (github(), HookServer::start());
    let proxy = started(&api, &app, &["--github-org=org-149", "--pass-access-token"]);
    let mut browser = Browser::new(&proxy);
    assert_eq!(browser.sign_in("/x"), "/x");
    assert_eq!(browser.get("/x").status, 200);
    let seen = app.wait_requests(1).pop().unwrap();
    assert_eq!(seen.header("x-forwarded-user"), Some("Octocat"));
    assert_eq!(seen.header("x-forwarded-email"), Some("octocat@mycompany.com"));
    assert_eq!(seen.header("x-forwarded-access-token"), Some(Api::TOKEN));
    let groups = seen.header("x-forwarded-groups").unwrap();
    assert!(groups.starts_with("org-0,") && groups.ends_with("org-149,org-1:the-devs"), "{groups}");
}

#[test]
fn github_lets_in_by_organisation_team_and_repository() {
    let api = github();
    api.put("/repos/own/writes", json!({"private": false, "permissions": {"pull": true, "push": true}}));
    api.put("/repos/own/reads", json!({"private": false, "permissions": {"pull": true, "push": false}}));
    api.put("/repos/own/private", json!({"private": true, "permissions": {"pull": true, "push": false}}));
    api.put_status("/repos/own/shared/collaborators/Octocat", 204);
    api.ask_for_token("/repos/own/shared/collaborators/Octocat", "of ours");
    for (flags, status) in [
        (vec!["--github-org=ORG-1"], 302),
        (vec!["--github-org=org-150"], 403),
        (vec!["--github-org=org-1", "--github-team=the-devs,others"], 302),
        (vec!["--github-org=org-2", "--github-team=the-devs"], 403),
        (vec!["--github-team=org-1:the-devs"], 302),
        (vec!["--github-repo=own/writes"], 302),
        (vec!["--github-repo=own/reads"], 403),
        (vec!["--github-repo=own/private"], 302),
        (vec!["--github-repo=own/none"], 403),
        (vec!["--github-repo=own/shared", "--github-token=of ours"], 302),
        (vec!["--github-repo=own/shared", "--github-token=another"], 403),
        (vec!["--github-org=org-150", "--github-user=Octocat"], 302),
        (vec!["--github-user=another"], 403),
    ] {
        assert_eq!(outcome(&api, &flags), status, "{flags:?}");
    }
}

#[test]
fn at_github_only_a_verified_address_says_who_somebody_is() {
    let api = github();
    for emails in [
        json!([{"email": "octocat@mycompany.com", "verified": false, "primary": true}]),
        json!([{"email": "octocat@mycompany.com", "verified": true, "primary": false}]),
        json!([]),
    ] {
        api.put("/user/emails", emails.clone());
        assert_eq!(outcome(&api, &[]), 403, "{emails}");
    }
    api.put_status("/user/emails", 500);
    assert_eq!(outcome(&api, &[]), 503);
    let api = github();
    api.put("/user", json!({"login": "Octocat"}));
    assert_eq!(outcome(&api, &[]), 503, "without an id nobody is anybody");
}

/// Of our own file: one provider of this kind, `{api}` and `{issuer}` filled in.
fn of_file(dir: &TempDir, api: &Api, provider: &str) -> World {
    let text = format!(
        "listen: 127.0.0.1:0\ncookie: {{secret_files: ['{{dir}}/cookie-secret'], insecure: true}}\nproviders:\n  - {{{}, \
         client_id: app, client_secret_file: '{{dir}}/client-secret'}}\nallow: {{domains: ['*']}}\nupstreams: [{{to: \
         '{{app}}'}}]\n",
        provider.replace("{api}", &api.url(""))
    );
    World::of_file(dir, &text)
}

fn groups(world: &World) -> String {
    let mut browser = world.browser();
    browser.sign_in("/");
    assert_eq!(browser.get("/").status, 200);
    world.seen().header("x-forwarded-groups").unwrap_or_default().to_owned()
}

#[test]
fn gitea_answers_as_github_with_words_of_its_own() {
    let api = Api::start();
    let words = |path: &str| format!("/api/v1{path}");
    api.put(&words("/user"), json!({"id": 7, "login": "tea", "full_name": "T", "email": "t@x.y"}));
    api.put(&words("/user/emails"), json!([{"email": "tea@mycompany.com", "verified": true, "primary": true}]));
    api.put(&words("/user/orgs"), json!([{"id": 1, "name": "Pots", "username": "Pots"}]));
    api.put(
        &words("/user/teams"),
        json!([{"id": 2, "name": "Owners", "organization": {"name": "Pots", "username": "Pots"}}]),
    );
    let dir = TempDir::new();
    let world = of_file(&dir, &api, "kind: gitea, issuer: '{api}'");
    assert_eq!(groups(&world), "pots,pots:owners");
    assert_eq!(world.seen().header("x-forwarded-email"), Some("tea@mycompany.com"));
}

#[test]
fn gitlab_is_asked_for_projects() {
    let api = Api::start();
    let project = |level: u64, archived: bool| {
        json!({"id": 1, "archived": archived,
               "permissions": {"project_access": null, "group_access": {"access_level": level}}})
    };
    api.put("/projects/own%2Fone", project(30, false));
    api.put("/projects/own%2Ftwo", project(10, false));
    api.put("/projects/own%2Fold", project(50, true));
    let dir = TempDir::new();
    let list = "own/one=30, own/two, own/old, own/none";
    let world = of_file(&dir, &api, &format!("kind: gitlab, issuer: '{{issuer}}', api: '{{api}}', projects: [{list}]"));
    world.provider.say("groups", json!(["own", "own/sub"]));
    assert_eq!(groups(&world), "own,own/sub,project:own/one");
}

#[test]
fn entra_id_is_asked_for_groups_that_are_too_many_for_a_token() {
    let api = Api::start();
    let group = |id: &str| json!({"@odata.type": "#microsoft.graph.group", "id": id});
    api.put(
        "/v1.0/me/transitiveMemberOf",
        json!({"value": [group("g-1"), {"@odata.type": "#microsoft.graph.directoryRole", "id": "r"}],
               "@odata.nextLink": api.url("/v1.0/me/more?$skiptoken=x")}),
    );
    api.put("/v1.0/me/more", json!({"value": [group("g-2")]}));
    let dir = TempDir::new();
    let world = of_file(&dir, &api, "kind: entra-id, issuer: '{issuer}', api: '{api}/v1.0'");
    world.provider.say("groups", Value::Null);
    world.provider.say("email", Value::Null);
    world.provider.say("preferred_username", json!("alice@mycompany.com"));
    assert_eq!(groups(&world), "", "who has few groups has them in the token");
    assert_eq!(world.seen().header("x-forwarded-email"), Some("alice@mycompany.com"));
    world.provider.say("_claim_names", json!({"groups": "src1"}));
    assert_eq!(groups(&world), "g-1,g-2");
    // A token is shown to nobody else.
    let thief = HookServer::start();
    api.put("/v1.0/me/transitiveMemberOf", json!({"value": [], "@odata.nextLink": thief.url("/v1.0/x")}));
    let mut browser = world.browser();
    let callback = browser.begin("/");
    assert_eq!(browser.get(&callback).status, 403);
    assert!(thief.requests().is_empty());
}

#[test]
fn adfs_and_keycloak_say_things_in_their_own_words() {
    let (dir, api) = (TempDir::new(), Api::start());
    let world = of_file(&dir, &api, "kind: adfs, issuer: '{issuer}'");
    world.provider.say("email", Value::Null);
    world.provider.say("upn", json!("alice@ad.mycompany.com"));
    groups(&world);
    assert_eq!(world.seen().header("x-forwarded-email"), Some("alice@ad.mycompany.com"));
    let world = World::new(&["--provider=keycloak-oidc", "--allowed-role=admin", "--allowed-role=app:writer"]);
    let enter = |realm: Value, clients: Value| {
        world.provider.say("realm_access", json!({ "roles": realm }));
        world.provider.say("resource_access", clients);
        let mut browser = world.browser();
        let callback = browser.begin("/");
        browser.get(&callback).status
    };
    assert_eq!(enter(json!(["user"]), json!({"app": {"roles": ["reader"]}})), 403);
    assert_eq!(enter(json!(["admin"]), json!({})), 302);
    assert_eq!(enter(json!([]), json!({"app": {"roles": ["writer"]}})), 302);
    assert_eq!(enter(json!([]), json!({"other": {"roles": ["writer"]}})), 403);
}

const TWO: &str = "
listen: 127.0.0.1:0
cookie: {secret_files: ['{dir}/cookie-secret'], insecure: true}
providers:
  - {name: company, title: Company, issuer: '{issuer}', client_id: app, client_secret_file: '{dir}/client-secret'}
  - name: hub
    kind: github
    title: GitHub
    client_id: app
    client_secret_file: '{dir}/client-secret'
    issuer: '{hub}'
    allow: {domains: [partner.example], groups: [org-1]}
allow:
  domains: [mycompany.com]
  routes: [{path: ^/admin(/|$), groups: [org-1], providers: [company]}]
upstreams: [{to: '{app}'}]
";

fn hub() -> Api {
    let api = Api::start();
    let words = |path: &str| format!("/api/v3{path}");
    api.put(&words("/user"), json!({"login": "octocat", "id": 1}));
    api.put(&words("/user/emails"), json!([{"email": "o@partner.example", "verified": true, "primary": true}]));
    api.put(&words("/user/orgs"), json!([{"login": "org-1"}]));
    api.put(&words("/user/teams"), json!([]));
    api
}

#[test]
fn a_login_through_one_provider_is_never_one_through_another() {
    let (dir, api) = (TempDir::new(), hub());
    let world = World::of_file(&dir, &TWO.replace("{hub}", &api.url("")));
    let mut browser = world.browser();
    let page = browser.get("/").body;
    assert!(page.contains("Sign in with Company") && page.contains("provider=hub"), "{page}");
    let mut begin = |provider: &str| {
        let start = browser.get(&format!("/oauth2/start?provider={provider}&rd=/x"));
        (at_provider(start.header("location").unwrap()), browser.clone())
    };
    let (of_company, mut company) = begin("company");
    let (of_hub, mut hub) = begin("hub");
    assert!(of_company.starts_with("/oauth2/callback/company?") && of_hub.starts_with("/oauth2/callback/hub?"));
    // The honest one's answer is brought to the other's address, and the other way round.
    assert_eq!(company.clone().get(&of_company.replace("/company", "/hub")).status, 403);
    assert_eq!(hub.clone().get(&of_hub.replace("/hub", "/company")).status, 403);
    assert_eq!(hub.clone().get(&of_hub.replace("/hub", "")).status, 403);
    assert_eq!(company.get(&of_company).header("location"), Some("/x"));
    assert_eq!(hub.get(&of_hub).header("location"), Some("/x"));
}

#[test]
fn each_provider_vouches_for_its_own_people_only() {
    let (dir, api) = (TempDir::new(), hub());
    let world = World::of_file(&dir, &TWO.replace("{hub}", &api.url("")));
    let sign_in = |provider: &str| {
        let mut browser = world.browser();
        let start = browser.get(&format!("/oauth2/start?provider={provider}"));
        let status = browser.get(&at_provider(start.header("location").unwrap())).status;
        (status, browser)
    };
    let (status, mut octocat) = sign_in("hub");
    assert_eq!((status, octocat.get("/").status), (302, 200));
    assert_eq!(octocat.get("/admin").status, 403, "a group of the same name, of another provider");
    // A provider for partners cannot say that somebody is of the company.
    api.put("/api/v3/user/emails", json!([{"email": "boss@mycompany.com", "verified": true, "primary": true}]));
    assert_eq!(sign_in("hub").0, 403);
    world.provider.say("groups", json!(["org-1"]));
    let (status, mut alice) = sign_in("company");
    assert_eq!((status, alice.get("/admin").status), (302, 200));
    world.provider.say("email", json!("o@partner.example"));
    assert_eq!(sign_in("company").0, 403);
}

#[test]
fn an_answer_may_be_posted_where_that_was_asked_for() {
    let world = World::new(&["--auth-request-response-mode=form_post"]);
    let mut browser = world.browser();
    let start = browser.get("/oauth2/start?rd=/x");
    assert!(start.header("location").unwrap().contains("response_mode=form_post"));
    assert!(browser.set[0].contains("SameSite=None"), "{:?}", browser.set);
    let callback = at_provider(start.header("location").unwrap());
    let (path, form) = callback.split_once('?').unwrap();
    let form: Vec<(&str, &str)> = form.split('&').map(|pair| pair.split_once('=').unwrap()).collect();
    let form: Vec<(&str, String)> = form.into_iter().map(|(name, value)| (name, value.replace("%3A", ":"))).collect();
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, &**value)).collect();
    let done = browser.post(path, &[("Sec-Fetch-Site", "cross-site")], &form);
    assert_eq!((done.status, done.header("location")), (303, Some("/x")), "{}", done.body);
    let other = World::new(&[]);
    assert_eq!(http::post(other.addr(), "/oauth2/callback", "code=x&state=y").unwrap().status, 403);
}

#[test]
fn an_address_of_a_tenant_that_anybody_can_make_is_not_believed() {
    let enter = |flags: &[&str], tenant: &str, own: Value| {
        let provider = OpenId::under("/common/v2.0", "/{tenantid}/v2.0");
        let world = World::with(provider, &[&["--provider=entra-id"], flags].concat());
        world.provider.say("tid", json!(tenant));
        world.provider.say("xms_edov", own);
        world.provider.say("iss", json!(world.provider.issuer().replace("common", tenant)));
        let mut browser = world.browser();
        let callback = browser.begin("/");
        browser.get(&callback).status
    };
    assert_eq!(enter(&[], "aaa-1", Value::Null), 403);
    assert_eq!(enter(&[], "aaa-1", json!(true)), 302);
    assert_eq!(enter(&["--entra-id-allowed-tenant=aaa-1,ccc-3"], "aaa-1", Value::Null), 302);
    assert_eq!(enter(&["--entra-id-allowed-tenant=aaa-1,ccc-3"], "bbb-2", json!(true)), 403);
    assert_eq!(enter(&["--insecure-oidc-allow-unverified-email"], "aaa-1", Value::Null), 302);
}

#[test]
fn google_is_asked_for_groups_by_an_account_of_our_own() {
    let (dir, api) = (TempDir::new(), Api::start());
    let pem = include_str!("../fixtures/auth_proxy/service-account.pem");
    let account = dir.put("account.json", api.service_account(pem, "admin@mycompany.com"));
    let member = |group: &str, is: bool| {
        let path = format!("/admin/directory/v1/groups/{group}%40mycompany.com/hasMember/alice%40mycompany.com");
        api.put(&path, json!({ "isMember": is }));
    };
    member("staff", true);
    member("admins", false);
    let list = "staff@mycompany.com, admins@mycompany.com, none@mycompany.com";
    let provider = |admin: &str| {
        format!(
            "kind: google, issuer: '{{issuer}}', api: '{{api}}', groups: [{list}], admin: {admin}, service_account_file: \
             '{account}'"
        )
    };
    let world = of_file(&dir, &api, &provider("admin@mycompany.com"));
    world.provider.say("groups", Value::Null);
    assert_eq!(groups(&world), "staff@mycompany.com");
    // Whoever has an address that nobody has verified is in no group; and without an answer nobody is let in.
    let world = of_file(&dir, &api, &provider("somebody@mycompany.com"));
    let mut browser = world.browser();
    let callback = browser.begin("/");
    assert_ne!(browser.get(&callback).status, 302);
    assert!(!world.proxy.stderr().contains("PRIVATE"));
}
