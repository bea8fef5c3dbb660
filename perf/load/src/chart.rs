//! A soak as a picture: memory and disk over time.

use std::path::Path;

use plotters::prelude::*;

use crate::soak::Sample;

const SIZE: (u32, u32) = (1000, 640);

/// Draws the samples into an SVG file: resident memory above, the data folder and its log below.
///
/// # Errors
/// What the drawing says.
pub fn draw(path: &Path, samples: &[Sample]) -> Result<(), String> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(|e| e.to_string())?;
    let (upper, lower) = root.split_vertically(SIZE.1 / 2);
    panel(&upper, "resident memory, MiB", samples, &[("server", BLUE, |s| s.rss)])?;
    panel(&lower, "disk, MiB", samples, &[("data folder", RED, |s| s.disk), ("log", GREEN, |s| s.log)])?;
    root.present().map_err(|e| e.to_string())
}

type Line = (&'static str, RGBColor, fn(&Sample) -> u64);

fn panel(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    caption: &str,
    samples: &[Sample],
    lines: &[Line],
) -> Result<(), String> {
    let text = |e: DrawingAreaErrorKind<_>| e.to_string();
    let mib = |bytes: u64| bytes as f64 / 1048576.0;
    let end = samples.last().map_or(1.0, |s| s.at);
    let top = lines.iter().flat_map(|l| samples.iter().map(l.2)).max().map_or(1.0, mib) * 1.1;
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..end, 0.0..top)
        .map_err(text)?;
    chart.configure_mesh().x_desc("seconds").light_line_style(WHITE).draw().map_err(text)?;
    for (name, color, of) in lines {
        let color = *color;
        chart
            .draw_series(LineSeries::new(samples.iter().map(|s| (s.at, mib(of(s)))), color))
            .map_err(text)?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color));
    }
    chart.configure_series_labels().border_style(BLACK).background_style(WHITE).draw().map_err(text)
}
