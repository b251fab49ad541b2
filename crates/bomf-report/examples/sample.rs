//! Writes the report and the front's figure of a made-up study into the folder
//! given as the first argument, to look at.

#[path = "../tests/sample/mod.rs"]
mod sample;

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    let folder = std::path::Path::new(&folder);
    let (results, journal) = sample::study(11, 15, &["accuracy"]);
    std::fs::write(
        folder.join("report.html"),
        bomf_report::render_with_journal(&results, &journal),
    )?;
    let (four, _) = sample::study(3, 15, &["rouge1", "rouge2", "rougeL"]);
    std::fs::write(folder.join("four.html"), bomf_report::render(&four))?;
    if let Some(svg) = bomf_report::render_front_svg(&results, &journal) {
        std::fs::write(folder.join("front.svg"), svg)?;
    }
    Ok(())
}
