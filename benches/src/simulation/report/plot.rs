//! One plot over time, as SVG that stretches with the page. Its texts are HTML above it, so they never stretch.

use std::fmt::Write as _;

use super::super::Mark;
use super::super::judge::number;

/// Units of the drawing, which is stretched to whatever room there is.
const WIDTH: f64 = 1_000.0;
const HEIGHT: f64 = 100.0;

/// A curve, or an area under one.
#[derive(Debug)]
pub(super) struct Curve {
    /// Its class, which has its colours, and its name in the legend.
    pub(super) class: &'static str,
    pub(super) label: &'static str,
    /// A value at each moment; `None` where nothing was known.
    pub(super) values: Vec<Option<u64>>,
    /// Filled down to the axis, or to the curve before.
    pub(super) area: bool,
}

/// A plot.
#[derive(Debug)]
pub(super) struct Plot<'a> {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) note: String,
    pub(super) times: &'a [i64],
    pub(super) end_ms: i64,
    pub(super) most: u64,
    /// A line to compare with, and what it is.
    pub(super) limit: Option<(u64, &'static str)>,
    pub(super) curves: Vec<Curve>,
    /// Areas stand on each other.
    pub(super) stacked: bool,
    pub(super) marks: &'a [Mark],
    /// Whether the times are written under it.
    pub(super) axis: bool,
}

#[expect(clippy::cast_precision_loss, reason = "a drawing")]
impl Plot<'_> {
    fn x(&self, at_ms: i64) -> f64 {
        at_ms as f64 / self.end_ms.max(1) as f64 * WIDTH
    }

    fn y(&self, value: u64) -> f64 {
        HEIGHT - value.min(self.most) as f64 / self.most.max(1) as f64 * HEIGHT
    }

    /// The whole figure.
    pub(super) fn html(&self) -> String {
        let mut svg = String::new();
        let step = nice_step(self.most);
        let lines: Vec<u64> = (1..)
            .map(|times| times * step)
            .take_while(|value| *value <= self.most)
            .collect();
        let mut labels = String::new();
        for value in &lines {
            let y = self.y(*value);
            let _ = write!(
                svg,
                r#"<line class="grid" x1="0" x2="{WIDTH}" y1="{y:.2}" y2="{y:.2}"/>"#
            );
            // A number at the very top would be above the drawing.
            if y < 88.0 {
                let _ = write!(
                    labels,
                    r#"<span class="tick" style="top:{y:.2}%">{}</span>"#,
                    short(*value)
                );
            }
        }
        let mut below: Vec<u64> = vec![0; self.times.len()];
        for curve in &self.curves {
            self.draw(curve, &mut below, &mut svg);
        }
        if let Some((value, what)) = self.limit {
            let y = self.y(value);
            let _ = write!(
                svg,
                r#"<line class="limit" x1="0" x2="{WIDTH}" y1="{y:.2}" y2="{y:.2}"/>"#
            );
            let _ = write!(
                labels,
                r#"<span class="limit-label" style="top:{y:.2}%">{what} {}</span>"#,
                number(value)
            );
        }
        let bands = self.bands();
        let legend = self.legend();
        let axis = if self.axis {
            self.time_axis()
        } else {
            String::new()
        };
        let Self {
            id, title, note, ..
        } = self;
        format!(
            r#"<figure class="plot" id="{id}"><figcaption><h3>{title}</h3><p>{note}</p>{legend}</figcaption>
<div class="canvas"><svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{title}: {note}">{svg}</svg>{bands}{labels}<i class="hair"></i></div>{axis}</figure>"#
        )
    }

    fn draw(&self, curve: &Curve, below: &mut [u64], svg: &mut String) {
        // A curve is cut where nothing was known.
        let mut start = 0;
        while start < curve.values.len() {
            if curve.values[start].is_none() {
                start += 1;
                continue;
            }
            let known = curve.values[start..]
                .iter()
                .take_while(|value| value.is_some())
                .count();
            let range = start..start + known;
            let mut line = String::new();
            for place in range.clone() {
                let base = if self.stacked { below[place] } else { 0 };
                let value = base + curve.values[place].unwrap_or(0);
                let pen = if line.is_empty() { 'M' } else { 'L' };
                let _ = write!(
                    line,
                    "{pen}{:.1} {:.2}",
                    self.x(self.times[place]),
                    self.y(value)
                );
            }
            if curve.area {
                let mut area = line.clone();
                for place in range.clone().rev() {
                    let base = if self.stacked { below[place] } else { 0 };
                    let _ = write!(
                        area,
                        "L{:.1} {:.2}",
                        self.x(self.times[place]),
                        self.y(base)
                    );
                }
                let _ = write!(svg, r#"<path class="area {}" d="{area}Z"/>"#, curve.class);
            }
            let _ = write!(svg, r#"<path class="line {}" d="{line}"/>"#, curve.class);
            if self.stacked {
                for place in range {
                    below[place] += curve.values[place].unwrap_or(0);
                }
            }
            start += known;
        }
    }

    fn bands(&self) -> String {
        let mut bands = String::new();
        for (place, mark) in self.marks.iter().enumerate() {
            let (left, right) = (self.x(mark.from_ms) / 10.0, self.x(mark.to_ms) / 10.0);
            let number = place + 1;
            let _ = write!(
                bands,
                r#"<i class="band" style="left:{left:.2}%;width:{:.2}%"><b>{number}</b></i>"#,
                (right - left).max(0.15)
            );
        }
        bands
    }

    fn legend(&self) -> String {
        let mut legend = String::from(r#"<ul class="legend">"#);
        for curve in &self.curves {
            let Curve { class, label, .. } = curve;
            let _ = write!(
                legend,
                r#"<li><i class="key {class}"></i>{label} <output data-of="{class}"></output></li>"#
            );
        }
        legend + "</ul>"
    }

    fn time_axis(&self) -> String {
        let seconds = u64::try_from(self.end_ms / 1_000).unwrap_or(0);
        let step = nice_step(seconds.max(4) * 10 / 8).max(1);
        let mut axis = String::from(r#"<div class="times">"#);
        for second in (0..=seconds).step_by(usize::try_from(step).unwrap_or(1)) {
            let left = self.x(i64::try_from(second).unwrap_or(0) * 1_000) / 10.0;
            if left < 96.0 {
                let unit = if second == 0 { " s" } else { "" };
                let _ = write!(
                    axis,
                    r#"<span style="left:{left:.2}%">{second}{unit}</span>"#
                );
            }
        }
        axis + "</div>"
    }
}

/// A step between lines: 1, 2 or 5 times a power of ten, so that there are one to five lines.
fn nice_step(most: u64) -> u64 {
    let rough = (most / 3).max(1);
    let power = 10_u64.pow(rough.ilog10());
    match rough / power {
        0..=1 => power,
        2..=4 => 2 * power,
        _ => 5 * power,
    }
}

/// A number in little room.
fn short(value: u64) -> String {
    if value >= 1_000 && value.is_multiple_of(1_000) {
        format!("{}k", value / 1_000)
    } else {
        number(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_a_few_lines_at_round_numbers() {
        for most in [1, 7, 12, 48, 270, 1_000, 20_000, 50_000, 123_456] {
            let step = nice_step(most);
            let lines = most / step;
            assert!(
                (1..=9).contains(&lines),
                "{most}: {lines} lines, {step} apart"
            );
        }
        assert_eq!(nice_step(20_000), 5_000);
        assert_eq!(nice_step(1_000), 200);
        assert_eq!(nice_step(77), 20);
    }

    #[test]
    fn a_curve_is_cut_where_nothing_was_known() {
        let plot = Plot {
            id: "p",
            title: "t",
            note: String::new(),
            times: &[0, 1, 2, 3],
            end_ms: 3,
            most: 10,
            limit: None,
            curves: vec![Curve {
                class: "sold",
                label: "sold",
                values: vec![Some(1), None, Some(2), Some(3)],
                area: false,
            }],
            stacked: false,
            marks: &[],
            axis: false,
        };
        assert_eq!(plot.html().matches("<path").count(), 2);
    }
}
