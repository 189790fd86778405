//! The page as a visitor finds it: `dist/` on a static host under a sub-path, in headless Chromium.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;

use brotli::enc::BrotliEncoderParams;
use bytes::Bytes;
use fantoccini::Client;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{ListAccessor, Row, RowAccessor};
use serde_json::{Value, json};
use steady_page_tests::browser::{click, copied_link, evaluate, find, in_browser, text, text_with};
use steady_page_tests::sample;
use steady_page_tests::server::{Server, dist};
use steady_report::Report;

const DESKTOP: u32 = 1200;
const PHONE: u32 = 360;

/// The numbers of the sample, as a visitor reads them.
async fn shows_the_sample(client: &Client) {
    assert_eq!(text(client, "h1").await, "Under w4:rtn,g=128 30.0 % of the answers changed. Accuracy moved by 2.5 points.");
    let line = text(client, ".overview tbody tr").await;
    for part in ["w4:rtn,g=128", "not above the noise floor", "80.0 → 77.5", "−2.5 points", "30.0 %", "15.0 %", "12.5 %", "2.00 of 8.00 MB"]
    {
        assert!(line.contains(part), "{part} is not in {line:?}");
    }
    assert!(text(client, ".overview tbody tr:nth-child(2)").await.contains("no answer changed"));
    assert!(text(client, ".floor").await.contains("0.0 %"));
    assert_eq!(text(client, "#count").await, "40 questions; the first 12 are shown");
}

#[tokio::test]
async fn opens_under_a_sub_path_and_fetches_its_own_files_alone() {
    let server = Server::start([]);
    let page = server.page.clone();
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        assert!(text(&client, "h1").await.contains("still give the same answers?"));
        let fetched = evaluate(&client, "performance.getEntriesByType('resource').map(entry => entry.name)").await;
        let fetched = fetched.as_array().unwrap();
        assert!(!fetched.is_empty());
        for address in fetched {
            let address = address.as_str().unwrap();
            assert!(address.starts_with(&page) || address.starts_with("data:"), "{address}");
        }
    })
    .await;
    let mut requests = server.requests();
    // beside the page a browser asks for what it would install, at a time of its own
    requests.retain(|request| !["offline.js", "icon.svg", "icon.png", "manifest.webmanifest"].contains(&request.as_str()));
    requests.sort();
    requests.dedup();
    let ends: Vec<&str> = requests.iter().map(|request| request.rsplit('.').next().unwrap()).collect();
    // the page itself, its two styles, starter and program: every one of them named by its hash
    assert_eq!(requests.len(), 6, "{requests:?}");
    for (end, times) in [("", 1), ("css", 2), ("js", 2), ("wasm", 1)] {
        assert_eq!(ends.iter().filter(|found| **found == end).count(), times, "{end:?} in {requests:?}");
    }
    for request in requests.iter().filter(|request| !request.is_empty()) {
        let hash = request.rsplit('-').find_map(|part| part.split(['.', '_']).next()).unwrap();
        assert!(hash.len() >= 12 && hash.chars().all(|c| c.is_ascii_hexdigit()), "{request} has no hash");
    }
    let packed: usize = requests.iter().map(|request| as_sent(request)).sum();
    eprintln!("{packed} bytes until the page stands");
    assert!(packed <= 1 << 20, "{packed} bytes until the page stands: more than 1 MiB");
}

/// Bytes of a file of the page as a host with brotli sends them.
fn as_sent(request: &str) -> usize {
    let name = if request.is_empty() { "index.html" } else { request };
    let whole = fs::read(dist().join(name)).unwrap();
    let mut packed = Vec::new();
    brotli::BrotliCompress(&mut whole.as_slice(), &mut packed, &BrotliEncoderParams::default()).unwrap();
    packed.len()
}

#[tokio::test]
async fn a_link_shows_its_report_to_somebody_else() {
    let server = Server::start([]);
    let page = format!("{}#r={}", server.page, sample::payload(&sample::report()));
    let copied = in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        shows_the_sample(&client).await;
        assert!(text(&client, ".origin").await.starts_with("From a link"));
        // questions and pictures come out of the seed
        assert!(text(&client, "#questions tbody th").await.contains(&sample::report().questions()[8].text));
        find(&client, "#questions tbody img").await;
        // far below, so it is drawn when it is scrolled to
        // Pictures are drawn behind the rows.
        let width = "new Promise(done => { const look = () => { const image = document.querySelector('#questions tbody img'); \
                     image?.scrollIntoView(); if (image?.naturalWidth) done(image.naturalWidth); else setTimeout(look, 50) }; look() })";
        assert_eq!(evaluate(&client, width).await, 144);
        copied_link(&client).await
    })
    .await;
    assert!(copied.len() < 8_000 + server.page.len(), "{} characters", copied.len());
    in_browser(DESKTOP, |client| async move {
        client.goto(&copied).await.unwrap();
        shows_the_sample(&client).await;
    })
    .await;
}

#[tokio::test]
async fn questions_are_filtered_ordered_and_led_to_by_their_numbers() {
    let server = Server::start([]);
    let page = format!("{}#r={}", server.page, sample::payload(&sample::report()));
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        let select = |name: &'static str| format!("#filters select[name={name}]");
        find(&client, &select("outcome")).await.select_by_value("broken").await.unwrap();
        text_with(&client, "#count", "6 of 40 questions").await;
        find(&client, &select("acceleration")).await.select_by_value("1").await.unwrap();
        text_with(&client, "#count", "0 of 40 questions").await;
        click(&client, "#filters button").await;
        text_with(&client, "#count", "40 questions").await;
        find(&client, "#filters input").await.send_keys("MAUVE again").await.unwrap();
        text_with(&client, "#count", "1 of 40 questions").await;
        click(&client, "#filters button").await;

        // a number in the headline leads to its questions in one click, and Back from there
        click(&client, ".overview tbody td.repaired a").await;
        text_with(&client, "#count", "5 of 40 questions").await;
        assert_eq!(evaluate(&client, "document.activeElement.id").await, "questions");
        let here = client.current_url().await.unwrap();
        assert!(here.fragment().unwrap().ends_with("&accel=w4:rtn,g=128&outcome=repaired"), "{here}");
        client.back().await.unwrap();
        text_with(&client, "#count", "40 questions").await;
        // so does a part of a bar, and a cell of the heat map
        click(&client, ".chart a.shows:has(tspan.broken)").await;
        text_with(&client, "#count", "6 of 40 questions").await;
        let family = text(&client, "#families tbody tr:has(td a) th").await;
        let changed = evaluate(&client, "document.querySelector('#families td a').parentElement.innerText").await;
        click(&client, "#families td a").await;
        let count = text_with(&client, "#count", " of 40 questions").await;
        let rows =
            evaluate(&client, "[...document.querySelectorAll('#questions tbody tr')].map(row => row.querySelector('.family').innerText)")
                .await;
        let rows = rows.as_array().unwrap();
        assert!(!rows.is_empty() && rows.iter().all(|row| row == &json!(family)), "{rows:?} of {family}: {changed} {count}");

        // a column orders, and the other way round; another tab orders as this one
        click(&client, "#filters button").await;
        click(&client, "#questions thead th:last-child button").await;
        click(&client, "#questions thead th:nth-last-child(2) button").await;
        find(&client, "thead [aria-sort=ascending]:nth-last-child(2)").await;
        assert!(text(&client, "#questions tbody tr").await.contains("broken"));
        click(&client, "#questions thead th:nth-last-child(2) button").await;
        find(&client, "thead [aria-sort=descending]:nth-last-child(2)").await;
        assert!(text(&client, "#questions tbody tr td:nth-last-child(2)").await.contains("same"));
        client.refresh().await.unwrap();
        find(&client, "thead [aria-sort=descending]:nth-last-child(2)").await;
        assert!(text(&client, "#questions tbody tr td:nth-last-child(2)").await.contains("same"));

        // a link holds no margins, so there is no such column; one that is there can be taken away
        assert!(!text(&client, "#questions thead").await.contains("margin"));
        click(&client, ".columns summary").await;
        click(&client, ".columns .tick:nth-child(3) input").await;
        find(&client, "#questions thead th[hidden]").await;

        // a way through the page that leaves the report in its address
        click(&client, "nav a[href='#rates']").await;
        assert!(client.current_url().await.unwrap().fragment().unwrap().starts_with("r="));
        assert_eq!(evaluate(&client, "document.activeElement.id").await, "rates");
        // and the one link that led nowhere, for there were two places of its name
        click(&client, "nav a[href='#questions']").await;
        assert_eq!(
            evaluate(&client, "[document.activeElement.id, document.querySelectorAll('#questions').length]").await,
            json!(["questions", 1])
        );
    })
    .await;
}

/// A link that must not be shown: the start of what the page must say about it.
async fn refuses(client: &Client, page: &str, fragment: &str, because: &str) {
    client.goto("about:blank").await.unwrap();
    client.goto(&format!("{page}#{fragment}")).await.unwrap();
    text_with(client, "[role=alert]", because).await;
    // and there is a way on
    find(client, "#typed").await;
}

#[tokio::test]
async fn hostile_links_get_a_message() {
    let server = Server::start([("broken.json", b"{\"format\": \"steady-report/1\", \"plan\": 7}".to_vec())]);
    let (page, payload) = (server.page.clone(), sample::payload(&sample::report()));
    let mut flipped = payload.clone().into_bytes();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    in_browser(DESKTOP, |client| async move {
        refuses(&client, &page, &format!("r={}", &payload[..payload.len() / 2]), "cut off").await;
        refuses(&client, &page, &format!("r={flipped}"), "checksum").await;
        refuses(&client, &page, &format!("r={}", include_str!("ten-megabytes.link").trim()), "inflates to more than").await;
        refuses(&client, &page, "r=<script>document.title='run'</script>", "damaged").await;
        refuses(&client, &page, &format!("r={}", "A".repeat(100_000)), "more than the 64000").await;
        refuses(&client, &page, "src=http://example.org/report.json", "not an address by https").await;
        refuses(&client, &page, "src=javascript:document.title='run'", "not an address by https").await;
        refuses(&client, &page, "src=nothing-there.json", "status 404").await;
        refuses(&client, &page, "src=broken.json", "`plan`").await;
        assert!(client.title().await.unwrap().starts_with("steady"));
    })
    .await;
}

const SCRIPT: &str = "</bdi></script><script>window.run=1</script><img src=x onerror=\"window.run=2\"><svg onload=window.run=3>{{7*7}}";

/// Puts script in place of every text but those that a report is refused for.
fn poison(value: &mut Value, name: &str) {
    match value {
        Value::String(text) if !matches!(name, "kind" | "outcome" | "format") => *text = format!("{text}{SCRIPT}"),
        Value::Array(items) => items.iter_mut().for_each(|item| poison(item, name)),
        Value::Object(fields) => fields.iter_mut().for_each(|(name, field)| poison(field, &name.clone())),
        _ => {}
    }
}

#[tokio::test]
async fn script_in_any_text_stays_text() {
    let mut document = serde_json::to_value(sample::measurements(&sample::suite(), "mauve")).unwrap();
    poison(&mut document, "");
    let report = Report::new(serde_json::from_value(document).unwrap()).unwrap();
    let server = Server::start([("poison.json", report.to_json().unwrap().into_bytes())]);
    let pages = [format!("{}#r={}", server.page, sample::payload(&report)), format!("{}#src=poison.json", server.page)];
    in_browser(DESKTOP, |client| async move {
        for page in pages {
            client.goto("about:blank").await.unwrap();
            client.goto(&page).await.unwrap();
            text_with(&client, "#count", "40 questions").await;
            let facts = text(&client, ".facts").await;
            assert!(facts.contains("<script>window.run=1</script><img src=x onerror="), "{facts}");
            assert!(text(&client, "#questions tbody th").await.contains("<svg onload=window.run=3>"));
            assert!(text(&client, "#filters").await.contains("<script>"));
            assert_eq!(
                evaluate(&client, "[window.run ?? null, document.querySelectorAll('img[src=x], body script').length]").await,
                json!([null, 0])
            );
            assert!(client.title().await.unwrap().contains("<script>"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_picked_file_opens() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    fs::write(&file, sample::report().to_json().unwrap()).unwrap();
    let broken = folder.path().join("broken.json");
    fs::write(&broken, "{\"format\": \"steady-report/1\"}").unwrap();
    let server = Server::start([]);
    // a page that shows another report first: the address must not bring it back
    let page = format!("{}#r={}", server.page, "AQ");
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        find(&client, "[role=alert]").await;
        let input = find(&client, "input[type=file]").await;
        input.send_keys(broken.to_str().unwrap()).await.unwrap();
        text_with(&client, ".refused", "missing field `plan`").await;
        assert_eq!(client.current_url().await.unwrap().fragment(), Some("r=AQ"));
        input.send_keys(file.to_str().unwrap()).await.unwrap();
        text_with(&client, ".origin", "From report.json").await;
        shows_the_sample(&client).await;
        // only a file has these: mean and median divergence, 12 of 40 answers at 0.5
        let rates = text(&client, "#rates tbody tr").await;
        assert!(rates.contains("0.150") && rates.contains("0.000"), "{rates}");
        assert_eq!(client.current_url().await.unwrap().fragment(), Some("report"));
        // one that is none destroys nothing, and a reload shows what was there
        input.send_keys(broken.to_str().unwrap()).await.unwrap();
        text_with(&client, ".refused", "missing field `plan`").await;
        shows_the_sample(&client).await;
        click(&client, ".refused button").await;
        client.refresh().await.unwrap();
        text_with(&client, ".origin", "From report.json").await;
        shows_the_sample(&client).await;
    })
    .await;
}

#[tokio::test]
async fn a_report_goes_out_into_other_tools() {
    let server = Server::start([]);
    let page = format!("{}#r={}", server.page, sample::payload(&sample::report()));
    let asked_for = server.clone();
    in_browser(DESKTOP, |client| async move {
        client.goto(&page).await.unwrap();
        find(&client, ".overview").await;
        // headless browsers have no clipboard to look into, and downloads are looked at before they are files
        evaluate(
            &client,
            "void (navigator.clipboard.writeText = async text => { window.copied = text }, \
             URL.createObjectURL = blob => { window.saved = blob; return 'blob:' }, HTMLAnchorElement.prototype.click = function () { window.named = this.download })",
        )
        .await;
        click(&client, ".hand-on button:nth-of-type(2)").await;
        text_with(&client, ".hand-on p", "Markdown table copied").await;
        let copied = evaluate(&client, "window.copied").await;
        assert_eq!(copied.as_str().unwrap(), sample::report().markdown());
        click(&client, ".save summary").await;
        let saved = async |button: usize, name: &str| {
            click(&client, &format!(".save .buttons button:nth-child({button})")).await;
            text_with(&client, ".hand-on p", &format!("{name} is among the downloads")).await;
            assert_eq!(evaluate(&client, "window.named").await, name);
            client.execute_async("window.saved.arrayBuffer().then(bytes => arguments[0](Array.from(new Uint8Array(bytes))))", Vec::new()).await.unwrap()
        };
        let bytes = |saved: Value| -> Vec<u8> { serde_json::from_value(saved).unwrap() };
        let csv = String::from_utf8(bytes(saved(3, "answers.csv").await)).unwrap();
        // 40 questions of the baseline and two accelerations, and the names of the columns
        assert_eq!(csv.matches("\r\n").count(), 121);
        // Parquet is written by a program that nobody fetched before
        let fetched = |part: &str| asked_for.requests().iter().filter(|request| request.contains(part)).count();
        assert_eq!((fetched("worker"), fetched("parquet")), (0, 0));
        let parquet = bytes(saved(4, "answers.parquet").await);
        let parquet = SerializedFileReader::new(Bytes::from(parquet)).unwrap();
        let rows: Vec<Row> = parquet.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        let names: Vec<&str> = rows[0].get_column_iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.join(","), csv.split("\r\n").next().unwrap());
        let place = |name: &str| names.iter().position(|other| *other == name).unwrap();
        let of = |row: &Row, name: &str| row.get_string(place(name)).map(String::as_str).unwrap_or_default().to_owned();
        let under = |outcome: &str| rows.iter().filter(|row| of(row, "acceleration") == "w4:rtn,g=128" && of(row, "outcome") == outcome).count();
        assert_eq!((rows.len(), under("broken"), under("repaired"), under("changed"), under("same")), (120, 6, 5, 1, 28));
        assert_eq!(rows.iter().filter(|row| row.get_bool(place("correct")).unwrap()).count(), 32 + 31 + 32);
        assert!(rows.iter().all(|row| row.get_list(place("gold")).unwrap().get_string(0).is_ok()));
        assert_eq!((fetched("steady-parquet_bg.wasm"), fetched("steady-worker")), (1, 0));
        let svg = String::from_utf8(bytes(saved(5, "accuracy.svg").await)).unwrap();
        assert_eq!(svg, sample::report().charts()[0].1);
        let png = image::load_from_memory(&bytes(saved(6, "accuracy.png").await)).unwrap().into_rgb8();
        // heat maps too: seven families of ten on five shades, and the share of common changes
        let heat = String::from_utf8(bytes(saved(7, "families.svg").await)).unwrap();
        assert_eq!(heat.matches("fill-opacity").count(), 20);
        let heat = image::load_from_memory(&bytes(saved(8, "families.png").await)).unwrap().into_rgb8();
        assert!(heat.pixels().any(|pixel| pixel.0 != heat.get_pixel(0, 0).0));
        saved(9, "common-changes.svg").await;
        // a second report stands beside the first
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("last-week.json");
        fs::write(&other, sample::report().to_json().unwrap()).unwrap();
        click(&client, ".beside summary").await;
        find(&client, ".compare input").await.send_keys(other.to_str().unwrap()).await.unwrap();
        let beside = text_with(&client, "#beside", "last-week.json").await;
        assert!(beside.contains("40 questions of the link (steady-llava) and last-week.json"), "{beside}");
        // the baselines, and each of two accelerations with each of two
        assert_eq!(evaluate(&client, "document.querySelectorAll('#beside tbody tr').length").await, 5);
        // so does one from a link, and what is none says why and leaves it there
        let link = format!("https://example.org/#r={}", sample::payload(&sample::report()));
        let field = ".beside form input[type=text]";
        find(&client, field).await.send_keys(&link[..link.len() / 2]).await.unwrap();
        click(&client, ".beside form button").await;
        text_with(&client, ".hand-on p", "cut off").await;
        text_with(&client, "#beside", "last-week.json").await;
        find(&client, field).await.send_keys(&link[link.len() / 2..]).await.unwrap();
        click(&client, ".beside form button").await;
        text_with(&client, "#beside", "40 questions of the link (steady-llava) and the link (steady-llava)").await;
        assert!(png.width() == 2 * 980 && png.pixels().any(|pixel| pixel.0 == [0xc4, 0x41, 0x0f]), "{} wide", png.width());
    })
    .await;
}

/// What mail programs and people make of a link.
#[tokio::test]
async fn a_link_survives_mail_and_a_cut_one_is_called_cut() {
    let server = Server::start([]);
    let (page, payload) = (server.page.clone(), sample::payload(&sample::report()));
    in_browser(DESKTOP, |client| async move {
        for end in [".", ")", "%20", ">"] {
            client.goto("about:blank").await.unwrap();
            client.goto(&format!("{page}#r={}%0A{}{end}", &payload[..70], &payload[70..])).await.unwrap();
            shows_the_sample(&client).await;
        }
        refuses(&client, &page, &format!("r={}", &payload[..payload.len() - 9]), "cut off").await;
        // typed, a link's end alone is a report too
        for typed in [format!("r={payload}"), format!("<{page}#r={payload}>")] {
            client.goto(&format!("{page}#")).await.unwrap();
            find(&client, "#typed").await.send_keys(&typed).await.unwrap();
            click(&client, ".open button").await;
            shows_the_sample(&client).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_phone_needs_no_sideways_scrolling() {
    let server = Server::start([]);
    let question = sample::report().questions()[8].id.clone();
    let fragments =
        ["#".to_owned(), format!("#r={}", sample::payload(&sample::report())), format!("#question={question}"), "#playground".to_owned()];
    let pages = fragments.map(|fragment| format!("{}{fragment}", server.page));
    in_browser(PHONE, |client| async move {
        for page in pages {
            client.goto("about:blank").await.unwrap();
            client.goto(&page).await.unwrap();
            find(&client, "h1").await;
            assert_eq!(evaluate(&client, "innerWidth").await, 360);
            // what a scrollbar leaves of it
            let width = evaluate(&client, "document.documentElement.clientWidth").await;
            assert_eq!(evaluate(&client, "document.documentElement.scrollWidth").await, width, "{page}");
        }
    })
    .await;
}
