//! Recall against latency, as SVG.

use std::fmt::Write as _;

use freehold_engine::search::Measured;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const MARGIN: f64 = 60.0;

/// A plot of what was measured of an index over so many rows.
pub(super) fn recall(measured: &Measured, rows: usize) -> String {
    let points = &measured.points;
    let slowest = points.iter().map(|point| point.seconds).fold(f64::MIN_POSITIVE, f64::max);
    let least = points.iter().map(|point| point.recall).fold(1.0, f64::min).min(0.9);
    let x = |seconds: f64| MARGIN + seconds / slowest * (WIDTH - 2.0 * MARGIN);
    let y =
        |recall: f64| HEIGHT - MARGIN - (recall - least) / (1.0 - least) * (HEIGHT - 2.0 * MARGIN);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{MARGIN}\" y=\"24\" font-size=\"14\">Recall@10 against latency: HNSW over {rows} rows of one tenant, {} questions</text>\n",
        measured.samples
    );
    for step in 0..=4 {
        let share = f64::from(step) / 4.0;
        let (recall, seconds) = (least + (1.0 - least) * share, slowest * share);
        let _ = writeln!(
            out,
            "<line x1=\"{MARGIN}\" x2=\"{}\" y1=\"{1:.1}\" y2=\"{1:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{2}\" y=\"{1:.1}\" text-anchor=\"end\">{recall:.3}</text>\
             <text x=\"{3:.1}\" y=\"{4}\" text-anchor=\"middle\">{5:.2} ms</text>",
            WIDTH - MARGIN,
            y(recall),
            MARGIN - 6.0,
            x(seconds),
            HEIGHT - MARGIN + 18.0,
            seconds * 1e3
        );
    }
    let line: Vec<String> = points
        .iter()
        .map(|point| format!("{:.1},{:.1}", x(point.seconds), y(point.recall)))
        .collect();
    let _ =
        writeln!(out, "<polyline points=\"{}\" fill=\"none\" stroke=\"#246\"/>", line.join(" "));
    for point in points {
        let (x, y) = (x(point.seconds), y(point.recall));
        let _ = writeln!(
            out,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"#246\"/><text x=\"{:.1}\" y=\"{:.1}\">ef {}</text>",
            x + 6.0,
            y + 14.0,
            point.ef_search
        );
    }
    out + "</svg>\n"
}
