//! The value moved against blocks, as an SVG that needs nothing else.

use std::fmt::Write;

use super::value::Curve;

/// Size of the picture and of the margins around the plot, pixels.
const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 450.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 70.0;
const BOTTOM: f64 = 60.0;
/// Points of the curve at most: more than there are pixels.
const MOST_POINTS: usize = 1_000;

/// What stands around the curve.
pub(super) struct Caption<'a> {
    /// Of what: wallets and chain.
    pub(super) title: &'a str,
    /// Percent of the plan's value that has moved.
    pub(super) percent: f64,
    /// What all of it is worth, in the unit of the curve.
    pub(super) all: f64,
    /// By what values are reckoned.
    pub(super) valued: &'a str,
}

/// The picture: background, axes, steps of the curve, and the percentage at its end.
pub(super) fn svg(curve: &Curve, caption: &Caption<'_>) -> String {
    let Caption { title, percent, all, valued } = caption;
    let points: Vec<(u64, f64)> = curve.points().collect();
    let last = points.last().map_or(1, |(block, _)| *block);
    let x = |block: u64| LEFT + (WIDTH - LEFT - RIGHT) * block as f64 / last as f64;
    let y = |percent: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * percent.clamp(0.0, 100.0) / 100.0;
    let share = |value: f64| if *all > 0.0 { value / all * 100.0 } else { 0.0 };
    let (right, bottom, middle) = (WIDTH - RIGHT, HEIGHT - BOTTOM, (TOP + HEIGHT - BOTTOM) / 2.0);
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"28\" font-size=\"18\">{}</text>\n\
         <text x=\"{LEFT}\" y=\"50\">{percent} % of the value moved, {valued}</text>\n",
        escaped(title)
    );
    for mark in [0.0, 25.0, 50.0, 75.0, 100.0] {
        let at = y(mark);
        let _ = writeln!(
            picture,
            "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{mark}</text>",
            LEFT - 8.0,
            at + 4.0
        );
    }
    for block in marks(last) {
        let at = x(block);
        let _ = writeln!(
            picture,
            "<line x1=\"{at:.1}\" y1=\"{bottom}\" x2=\"{at:.1}\" y2=\"{}\" stroke=\"#222\"/>\
             <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{block}</text>",
            bottom + 5.0,
            bottom + 20.0
        );
    }
    let mut path = format!("M{LEFT} {bottom}");
    let each = points.len().div_ceil(MOST_POINTS).max(1);
    let shown = points.iter().enumerate().filter(|(place, _)| place % each == 0 || place + 1 == points.len());
    for (_, (block, value)) in shown {
        let _ = write!(path, " H{:.1} V{:.1}", x(*block), y(share(*value)));
    }
    let _ = write!(
        picture,
        "<path d=\"M{LEFT} {TOP} V{bottom} H{right}\" fill=\"none\" stroke=\"#222\"/>\n\
         <path d=\"{path}\" fill=\"none\" stroke=\"#0b6e4f\" stroke-width=\"2.5\"/>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">blocks since the first transaction</text>\n\
         <text transform=\"translate(20 {middle}) rotate(-90)\" text-anchor=\"middle\">value moved, % of the plan</text>\n\
         </svg>\n",
        (LEFT + right) / 2.0,
        HEIGHT - 18.0
    );
    picture
}

/// Where the axis of blocks is marked: a few round numbers, and the last.
fn marks(last: u64) -> Vec<u64> {
    let step = (last / 5).max(1);
    let round = 10u64.pow(step.ilog10());
    let step = step / round * round;
    let mut marks: Vec<u64> = (0..=last).step_by(usize::try_from(step).unwrap_or(usize::MAX)).collect();
    // The last must not stand upon the one before it.
    marks.retain(|mark| *mark < last && last - mark >= step / 2);
    marks.push(last);
    marks
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_title_axes_with_units_the_curve_and_the_final_percentage() {
        let mut curve = Curve::default();
        for (block, value) in [(100, 50.0), (109, 25.0)] {
            curve.add(block, value);
        }
        let caption = Caption { title: "2 wallets <on> eip155:1", percent: 75.0, all: 100.0, valued: "by shares" };
        let picture = svg(&curve, &caption);
        for part in [
            "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>",
            ">2 wallets &lt;on&gt; eip155:1<",
            ">75 % of the value moved, by shares<",
            ">blocks since the first transaction<",
            ">value moved, % of the plan<",
            // Half after the first of ten blocks, three quarters after the last.
            "d=\"M70 390 H140.0 V230.0 H770.0 V150.0\"",
        ] {
            assert!(picture.contains(part), "{part}: {picture}");
        }
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
        assert!(svg(&Curve::default(), &caption).contains("d=\"M70 390\""), "nothing moved");
    }

    #[test]
    fn a_long_curve_is_no_larger_than_its_picture_and_its_end_is_in_it() {
        let mut curve = Curve::default();
        (0..20_000).for_each(|block| curve.add(block, 0.005));
        let picture = svg(&curve, &Caption { title: "", percent: 100.0, all: 100.0, valued: "" });
        assert!(picture.len() < 30_000 && picture.contains("H770.0 V70.0\""), "{}", picture.len());
    }

    #[test]
    fn the_axis_is_marked_at_round_numbers() {
        assert_eq!(marks(1), [0, 1]);
        assert_eq!(marks(10), [0, 2, 4, 6, 8, 10]);
        assert_eq!(marks(47), [0, 9, 18, 27, 36, 47]);
        assert_eq!(marks(20_000), [0, 4_000, 8_000, 12_000, 16_000, 20_000]);
    }
}
