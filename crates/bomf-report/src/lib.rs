//! Self-contained HTML reports with SVG figures.
