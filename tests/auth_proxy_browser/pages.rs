//! Our pages as people see them: on a phone and on a desk, in light and in dark. The pictures are in `target/pictures`.

use serde_json::{Value, json};

use crate::hand::{Tab, World};

/// How far text and what is behind it are apart, for every text of the page: 4.5 is what the guidelines ask for.
const CONTRASTS: &str = "(() => {
  const paint = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const pixel = (color) => { paint.clearRect(0, 0, 1, 1); paint.fillStyle = color; paint.fillRect(0, 0, 1, 1); return [...paint.getImageData(0, 0, 1, 1).data]; };
  const light = ([r, g, b]) => [r, g, b].map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, nth) => sum + part * [0.2126, 0.7152, 0.0722][nth], 0);
  const behind = (element) => { for (let at = element; at; at = at.parentElement) { const color = pixel(getComputedStyle(at).backgroundColor); if (color[3] > 250) return color; } return [255, 255, 255]; };
  return [...document.querySelectorAll('h1, p, a, button, label, footer')].filter((element) => element.innerText.trim()).map((element) => {
    const style = getComputedStyle(element), under = behind(element), opacity = Number(style.opacity);
    const over = pixel(style.color).map((part, nth) => part * opacity + (under[nth] ?? 255) * (1 - opacity));
    const [a, b] = [light(over), light(under)].sort((x, y) => y - x);
    return {text: element.innerText.slice(0, 30), contrast: (a + 0.05) / (b + 0.05)};
  });
})()";

/// Whether one has to scroll sideways, and how high what is to be touched is.
const MEASURES: &str = "(() => ({
  sideways: document.documentElement.scrollWidth - innerWidth,
  touched: Math.min(...[...document.querySelectorAll('a.go, button')].map((element) => element.getBoundingClientRect().height)),
  lang: document.documentElement.lang, title: document.title,
}))()";

fn judge(tab: &Tab, name: &str) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/pictures");
    tab.walk(&json!([["picture", format!("{folder}/{name}.png")]]));
    let measures = tab.script(MEASURES);
    assert!(measures["sideways"].as_i64().unwrap() <= 0, "{name}: {measures}");
    assert!(measures["touched"].as_f64().is_none_or(|height| height >= 44.0), "{name}: {measures}");
    assert_eq!(measures["lang"], "en", "{name}");
    let contrasts = tab.script(CONTRASTS);
    let list = contrasts.as_array().unwrap();
    assert!(list.len() >= 2, "{name}: {contrasts}");
    assert!(list.iter().all(|text| text["contrast"].as_f64().unwrap() >= 4.5), "{name}: {contrasts}");
    let trouble = tab.walk(&json!([["trouble", null]])).said;
    // That the page has another status than 200 is no trouble.
    let is_real = |line: &&Value| !line.as_str().unwrap().contains("the server responded with a status");
    let real: Vec<_> = trouble.as_array().unwrap().iter().filter(is_real).collect();
    assert!(real.is_empty(), "{name}: {real:?}");
}

#[test]
fn pages_are_readable_on_a_phone_and_on_a_desk_in_light_and_in_dark() {
    let dir = test_kit::TempDir::new();
    let users = dir.put("users", "sha:{SHA}PDUC6jG3V40qqE4XqHRFLkyoMVM=\n");
    let users = format!("--htpasswd-file={users}");
    let banner = "--banner=For members of the company. Whoever else comes here is asked to leave again.";
    let world = World::new(&[
        &users,
        banner,
        "--footer=Questions: help@mycompany.com",
        "--provider-display-name=Company account",
    ]);
    for scheme in ["light", "dark"] {
        for (width, height) in [(360, 640), (1280, 800)] {
            let browser = json!({"colorScheme": scheme, "viewport": {"width": width, "height": height}});
            let tab = world.browser(&browser);
            let page = tab.go(&world.url("/some/where"));
            assert!(page.text.contains("Company account") && page.text.contains("help@mycompany.com"), "{page:?}");
            judge(&tab, &format!("sign-in-{scheme}-{width}"));
            tab.go(&world.url("/oauth2/callback?error=access_denied"));
            judge(&tab, &format!("trouble-{scheme}-{width}"));
        }
    }
}
