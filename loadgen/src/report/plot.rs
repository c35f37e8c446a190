//! Line plots as inline SVG: no script, no font, nothing to fetch.

use std::fmt::Write;

const WIDTH: f64 = 820.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 44.0;
/// Told apart also by people who see few colours.
const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#555555", "#e69f00", "#56b4e9", "#8c6d1f"];

/// A line with its name.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// How an axis is divided.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    pub(crate) title: &'static str,
    pub(crate) is_log: bool,
    /// Where marks stand, with their words; made from the data when empty.
    pub(crate) marks: Vec<(f64, String)>,
}

/// A whole plot. Points that are no numbers are left out.
pub(crate) fn plot(title: &str, x: &Axis, y: &Axis, series: &[Series]) -> String {
    let points =
        || series.iter().flat_map(|series| &series.points).filter(|(x, y)| x.is_finite() && y.is_finite());
    if points().next().is_none() {
        return String::new();
    }
    let xs = span(points().map(|(at, _)| *at), x, false);
    let ys = span(points().map(|(_, at)| *at), y, true);
    let to_x = |at: f64| LEFT + share(at, xs, x.is_log) * (WIDTH - LEFT - RIGHT);
    let to_y = |at: f64| HEIGHT - BOTTOM - share(at, ys, y.is_log) * (HEIGHT - TOP - BOTTOM);
    let mut out = format!(
        "<figure><figcaption>{title}</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">"
    );
    let bottom = HEIGHT - BOTTOM;
    for (at, words) in marks(x, xs) {
        let at = to_x(at);
        let _ =
            write!(out, "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>");
        // A word in the middle of the right end would leave the picture; of the left end, meet the other axis.
        let anchor = match at {
            _ if at > WIDTH - 2.0 * RIGHT => "end",
            _ if at < LEFT + RIGHT => "start",
            _ => "middle",
        };
        let _ = write!(
            out,
            "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{words}</text>",
            bottom + 16.0
        );
    }
    for (at, words) in marks(y, ys) {
        let at = to_y(at);
        let right = WIDTH - RIGHT;
        let _ =
            write!(out, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>");
        let _ = write!(
            out,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{words}</text>",
            LEFT - 6.0,
            at + 4.0
        );
    }
    let middle = (LEFT + WIDTH - RIGHT) / 2.0;
    let _ =
        write!(out, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>", HEIGHT - 8.0, x.title);
    let _ = write!(out, "<text x=\"{LEFT}\" y=\"12\" text-anchor=\"start\">{}</text>", y.title);
    for (series, colour) in series.iter().zip(COLOURS.iter().cycle()) {
        let line = series.points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
        let line: Vec<String> = line.map(|(x, y)| format!("{:.1},{:.1}", to_x(*x), to_y(*y))).collect();
        let _ = write!(
            out,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
            line.join(" ")
        );
    }
    out += "</svg><div class=\"legend\">";
    for (series, colour) in series.iter().zip(COLOURS.iter().cycle()) {
        let _ = write!(out, "<span><i style=\"background:{colour}\"></i>{}</span>", series.name);
    }
    out + "</div></figure>"
}

/// The ends of the data, a little room included; linear heights begin at 0.
fn span(values: impl Iterator<Item = f64>, axis: &Axis, is_height: bool) -> (f64, f64) {
    let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.chain(axis.marks.iter().map(|(at, _)| *at)) {
        (least, most) = (least.min(value), most.max(value));
    }
    if axis.is_log {
        // Nothing at or below zero stands on a logarithmic axis.
        return (least.max(1e-3), most.max(2e-3));
    }
    let least = if is_height { least.min(0.0) } else { least };
    (least, if most > least { most * if is_height { 1.05 } else { 1.0 } } else { least + 1.0 })
}

fn share(at: f64, (least, most): (f64, f64), is_log: bool) -> f64 {
    let (at, least, most) =
        if is_log { (at.max(least).ln(), least.ln(), most.ln()) } else { (at, least, most) };
    if most > least { ((at - least) / (most - least)).clamp(0.0, 1.0) } else { 0.5 }
}

fn marks(axis: &Axis, (least, most): (f64, f64)) -> Vec<(f64, String)> {
    if !axis.marks.is_empty() {
        return axis.marks.clone();
    }
    if axis.is_log {
        let decades = (least.log10().floor() as i32)..=(most.log10().ceil() as i32);
        // Few decades have room for what lies between them.
        let steps: &[f64] = if most / least < 1000.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let at = decades.flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power)));
        return at.filter(|at| (least..=most).contains(at)).map(|at| (at, number(at))).collect();
    }
    // One, two or five times a power of ten, so that four to eight marks fit.
    let rough = (most - least) / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    let first = (least / step).ceil() as i64;
    let last = (most / step).floor() as i64;
    (first..=last).map(|place| (place as f64 * step, number(place as f64 * step))).collect()
}

fn number(at: f64) -> String {
    match at.abs() {
        size if size >= 1e6 => format!("{}M", round(at / 1e6)),
        size if size >= 1e3 => format!("{}k", round(at / 1e3)),
        _ => round(at),
    }
}

fn round(at: f64) -> String {
    let text = format!("{at:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(is_log: bool) -> Axis {
        Axis { title: "x", is_log, marks: Vec::new() }
    }

    #[test]
    fn everything_drawn_lies_inside() {
        let points = vec![(0.0, 3.0), (1.0, f64::NAN), (2.0, 70_000.0), (9.0, 0.0)];
        let series = [Series { name: "a".into(), points }];
        for is_log in [false, true] {
            let svg = plot("t", &axis(false), &axis(is_log), &series);
            let line = svg.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
            assert_eq!(line.split(' ').count(), 3);
            for point in line.split(' ') {
                let (x, y) = point.split_once(',').unwrap();
                assert!((LEFT..=WIDTH).contains(&x.parse().unwrap()), "{point}");
                assert!((0.0..=HEIGHT - BOTTOM).contains(&y.parse().unwrap()), "{point}");
            }
        }
        assert_eq!(plot("t", &axis(false), &axis(false), &[]), "");
    }

    #[test]
    fn marks_are_round() {
        let words: Vec<String> =
            marks(&axis(false), (0.0, 10.0)).into_iter().map(|(_, words)| words).collect();
        assert_eq!(words, ["0", "2", "4", "6", "8", "10"]);
        let words: Vec<String> =
            marks(&axis(true), (50.0, 20_000.0)).into_iter().map(|(_, words)| words).collect();
        assert_eq!(words, ["50", "100", "200", "500", "1k", "2k", "5k", "10k", "20k"]);
        let words: Vec<String> =
            marks(&axis(true), (50.0, 200_000.0)).into_iter().map(|(_, words)| words).collect();
        assert_eq!(words, ["100", "1k", "10k", "100k"]);
    }
}
