"""A page by itself."""

from uqcv.analysis.page import Section, drawn, paragraph, preformatted, table, write_page
from uqcv.analysis.style import new_figure


def test_a_page_holds_all_that_it_shows(tmp_path):
    figure, _ = new_figure(1, 1)
    content = paragraph("a < b") + table(["x", "y"], [["<1>", "2"]]) + preformatted("k: v") + drawn(figure, "a & b")
    path = write_page(tmp_path / "report.html", "T<est", [Section("First", content)])
    text = path.read_text(encoding="utf-8")
    assert "a &lt; b" in text and "<td>&lt;1&gt;</td>" in text and "T&lt;est" in text and "a &amp; b" in text
    assert text.count("data:image/png;base64,iVBOR") == 1
    assert 'src="http' not in text and "<link" not in text and "<script" not in text
