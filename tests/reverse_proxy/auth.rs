//! Basic authentication from a password file.

use test_kit::eventually;

use crate::{Bench, PATIENCE};

const USERS: &str = "sha:{SHA}PDUC6jG3V40qqE4XqHRFLkyoMVM=\n\
                     bcrypt:$2y$05$c4WoMPo3SXsafkva.HHa6upeGW6vuL03CjrQO3ok5bDICk8l7Q1iW\n\
                     apr1:$apr1$8LyY3nzb$YcYxzaY1zd6PQEl0GPkQm.\n\
                     crypt:$6$rounds=1000$abcd$Mw4O9cfsRxVvpq5vo7zIFm5txHub1kMjVp8LunnSNRxfobmttnfAuKAN3D7XdOul/hPlkVaemBtIb8okhACEc/\n";

const CONFIG: &str = "listeners:
- listen: LISTEN
  auth: {realm: 'The \"app\"', users_file: DIR/users}
  routes:
  - {path: /health, auth: off, to: APP}
  - {to: APP, request_headers: {set: {X-User: '${user}'}}}\n";

fn basic(user: &str, password: &str) -> String {
    // The base64 of `user:password`, made where no crate of the tests has it.
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = format!("{user}:{password}");
    let mut out = String::from("Basic ");
    for chunk in text.as_bytes().chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let sign = ALPHABET[(word >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= chunk.len() { char::from(sign) } else { '=' });
        }
    }
    out
}

#[test]
fn only_users_of_the_file_come_in_and_health_is_open() {
    let bench = Bench::new();
    bench.put("users", USERS);
    let proxy = bench.serving(CONFIG);
    assert_eq!(proxy.get("/health").status, 200);
    let asked = proxy.get("/");
    assert_eq!((asked.status, asked.header("www-authenticate")), (401, Some("Basic realm=\"The \\\"app\\\"\"")));
    for user in ["sha", "bcrypt", "apr1", "crypt"] {
        // The second time it is remembered.
        for _ in 0..2 {
            assert_eq!(proxy.get_with("/", &[("Authorization", &basic(user, "secret word"))]).status, 200, "{user}");
            assert_eq!(bench.asked().header("x-user"), Some(user));
        }
        assert_eq!(proxy.get_with("/", &[("Authorization", &basic(user, "wrong"))]).status, 401, "{user}");
    }
    assert_eq!(proxy.get_with("/", &[("Authorization", &basic("nobody", "secret word"))]).status, 401);
    assert_eq!(proxy.get("/health/../").status, 401, "no detour leads past it");
    assert!(!proxy.sidecar.stderr().contains("secret"), "no password is logged");
}

#[test]
fn without_the_file_nobody_comes_in_and_the_log_says_why() {
    let bench = Bench::new();
    let proxy = bench.serving(CONFIG);
    let line = proxy.sidecar.wait_log(|line| line.message().contains("nobody can log in"));
    assert_eq!(line.level(), "ERROR");
    assert!(line.message().contains("users: no such file or directory"), "{}", line.message());
    let proof = basic("sha", "secret word");
    assert_eq!(proxy.get_with("/", &[("Authorization", &proof)]).status, 403);
    assert_eq!(proxy.get("/health").status, 200);
    // It may come later, as a Secret does.
    bench.put("users", USERS);
    let let_in = || proxy.get_with("/", &[("Authorization", &proof)]).status == 200;
    assert!(eventually(PATIENCE, let_in), "{}", proxy.sidecar.stderr());
}
