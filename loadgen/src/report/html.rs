//! The result as one page that needs nothing else.

use std::fmt::Write;

use super::plot::{Axis, Series, plot};
use super::{Distribution, Point, Report, table};
use crate::meter::Phase;

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;max-width:860px;margin:2em auto;padding:0 1em;color:#222;background:#fff}\
h1{font-size:1.4em;margin-bottom:0}h2{font-size:1.1em;margin-top:2em}p.sub{color:#666;margin-top:.2em}\
table{border-collapse:collapse;width:100%}td,th{padding:.25em .6em;text-align:right;border-bottom:1px solid #ddd}\
td:first-child,th:first-child{text-align:left}figure{margin:1.5em 0}figcaption{font-weight:600}\
svg{width:100%;height:auto}svg text{font-size:11px;fill:#555}.grid{stroke:#e4e4e4}\
.legend span{display:inline-block;white-space:nowrap;margin-right:1.2em}.legend i{display:inline-block;width:1em;height:.25em;margin-right:.4em;vertical-align:middle}\
.ok{color:#08743b}.bad{color:#b00020}pre{background:#f6f6f6;padding:1em;overflow-x:auto;white-space:pre-wrap}\
.tiles{display:flex;flex-wrap:wrap;gap:1em}.tiles div{border:1px solid #ddd;border-radius:6px;padding:.6em 1em;flex:1 1 8em}\
.tiles b{display:block;font-size:1.3em}\
@media(max-width:640px){svg text{font-size:19px}pre.wide{white-space:pre;font-size:12px}.tiles{gap:.5em}}";

/// The page.
pub(crate) fn page(report: &Report) -> String {
    let Report { scenario, verdict, .. } = report;
    let class = if verdict.word() == "ok" { "ok" } else { "bad" };
    let mut out = String::from("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    let _ = write!(
        out,
        "<meta name=\"viewport\" content=\"width=device-width\"><title>maru-load {}</title><style>{STYLE}</style>\
         </head><body><h1>{} <span class=\"{class}\">{}</span></h1><p class=\"sub\">{}<br>{}<br>{} devices, {}</p>",
        escape(&scenario.name),
        escape(&scenario.name),
        verdict.word(),
        escape(&report.date),
        escape(&report.machine),
        scenario.devices,
        escape(&scenario.loop_words()),
    );
    for words in verdict.void.iter().chain(&verdict.partial) {
        let _ = write!(out, "<p class=\"bad\">{}</p>", escape(words));
    }
    out += &tiles(report);
    out += &latencies(report);
    out += &over_time(report);
    let _ =
        write!(out, "<h2>All of it</h2><pre class=\"wide\">{}</pre>", escape(&table::table(report, false)));
    let toml = toml::to_string(scenario).unwrap_or_default();
    let _ = write!(out, "<h2>Scenario</h2><pre>{}</pre>", escape(&toml));
    let _ = writeln!(out, "<h2>Command</h2><pre>{}</pre></body></html>", escape(&report.command));
    out
}

fn tiles(report: &Report) -> String {
    let totals = &report.totals;
    let mut tiles = vec![
        ("connected", totals.connected.to_string()),
        ("handshakes /s", table::rate(table::handshakes_per_s(totals))),
    ];
    if report.scenario.sends() {
        tiles.push(("offered /s", table::rate(totals.offered_per_s)));
        tiles.push(("delivered /s", table::rate(totals.delivered_per_s)));
        tiles.push(("delivery p50", table::time(report.latencies.delivery.p50_us)));
        tiles.push(("delivery p99", table::time(report.latencies.delivery.p99_us)));
    }
    if let Some(server) = &report.server_use {
        if totals.delivered_per_s > 0.0 {
            tiles.push(("server CPU per delivery", format!("{:.2} us", server.cpu_us_per_delivery)));
        }
        if let Some(bytes) = server.bytes_per_connection {
            tiles.push(("bytes per connection", format!("{bytes:.0}")));
        }
    }
    if let Some(faults) = &report.outcome.faults {
        tiles.push(("violations", faults.count().to_string()));
    }
    let tiles: String =
        tiles.iter().map(|(name, value)| format!("<div><b>{value}</b>{name}</div>")).collect();
    format!("<div class=\"tiles\">{tiles}</div>")
}

/// Percentiles stand at -log10(1 - p): every nine takes the same room.
fn latencies(report: &Report) -> String {
    let named = report.latencies.named();
    if named.is_empty() {
        return String::new();
    }
    let curve = |(name, of): &(&str, &Distribution)| {
        // Beyond as many nines as there are values there is only the largest.
        let nines = f64::from(of.count.max(1).ilog10()).clamp(1.0, 6.0);
        let steps = (0..=(nines * 20.0) as u32).map(|step| f64::from(step) / 20.0);
        let points = steps.map(|nines| (nines, of.histogram.us(1.0 - 10_f64.powf(-nines)) / 1000.0));
        Series { name: (*name).to_owned(), points: points.collect() }
    };
    let mut series: Vec<Series> = named.iter().map(curve).collect();
    // On a logarithmic axis there is no zero.
    for (_, y) in series.iter_mut().flat_map(|series| &mut series.points) {
        *y = y.max(1e-3);
    }
    let words = ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %"];
    let most = series.iter().flat_map(|series| &series.points).fold(1.0, |most: f64, (x, _)| most.max(*x));
    let marks = words.iter().enumerate().map(|(place, words)| (place as f64, (*words).to_owned()));
    let marks = marks.filter(|(at, _)| *at <= most).collect();
    let x = Axis { title: "percentile", is_log: false, marks };
    let y = Axis { title: "ms", is_log: true, marks: Vec::new() };
    plot("Latency by percentile, from the intended time", &x, &y, &series)
}

fn over_time(report: &Report) -> String {
    let counted: Vec<(f64, &Point)> = {
        let offset = |phase: Phase| match phase {
            Phase::Connect | Phase::Warmup => None,
            Phase::Measure => Some(0.0),
            Phase::Drain => Some(report.totals.seconds),
        };
        let points = report.timeline.iter().filter(|point| point.seconds > 0.1);
        points.filter_map(|point| Some((offset(point.phase)? + point.begin_s, point))).collect()
    };
    let line = |name: &str, pick: &dyn Fn(&Point) -> f64| Series {
        name: name.to_owned(),
        points: counted.iter().map(|(at, point)| (*at, pick(point))).collect(),
    };
    let x = Axis { title: "seconds", is_log: false, marks: Vec::new() };
    let linear = |title| Axis { title, is_log: false, marks: Vec::new() };
    let mut out = String::new();
    if report.scenario.sends() {
        // What comes while the tool waits for the rest is no rate of anything.
        let counted = |series: Series| {
            let points =
                series.points.into_iter().filter(|(at, _)| *at < report.totals.seconds - 0.05).collect();
            Series { points, ..series }
        };
        let rates = [
            line("offered", &|point| point.offered_per_s),
            line("acked", &|point| point.acked_per_s),
            line("delivered", &|point| point.delivered_per_s),
        ]
        .map(counted);
        out += &plot("Throughput over time", &x, &linear("per second"), &rates);
        let times = [
            line("delivery p50", &|point| point.delivery_p50_us / 1000.0),
            line("delivery p99", &|point| point.delivery_p99_us / 1000.0),
            line("delivery max", &|point| point.delivery_max_us / 1000.0),
        ];
        let y = Axis { title: "ms", is_log: true, marks: Vec::new() };
        let has_zero = |point: &(f64, f64)| point.1 > 0.0;
        let times = times
            .map(|series| Series { points: series.points.into_iter().filter(has_zero).collect(), ..series });
        out += &plot("Delivery latency over time", &x, &y, &times);
    }
    let mut begin_s = 0.0;
    let connections = report.timeline.iter().map(|point| {
        begin_s += point.seconds;
        (begin_s, point.connected as f64)
    });
    let connections = [Series { name: "connected".into(), points: connections.collect() }];
    let x = Axis { title: "seconds since the first dial", is_log: false, marks: Vec::new() };
    out + &plot("Connections over time", &x, &linear("connections"), &connections)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
