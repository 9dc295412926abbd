"""What a reader of a figure would see."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text


def texts_of(figure: Figure) -> list[Text]:
    """All texts that are drawn; labels of ticks beyond the limits of an axis exist, but are not."""
    beyond = set()
    for axes in figure.axes:
        for axis, coordinate in ((axes.xaxis, 0), (axes.yaxis, 1)):
            low, high = sorted(axis.get_view_interval())
            for label in axis.get_ticklabels(which="both"):
                if not low <= label.get_position()[coordinate] <= high:
                    beyond.add(label)
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text() and text not in beyond]


def assert_nothing_is_clipped_or_overlaps(figure: Figure) -> None:
    """All texts lie inside the figure, and no two of them on top of each other."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in texts_of(figure)]
    assert len(boxes) > 5
    for number, (words, box) in enumerate(boxes):
        assert min(box.x0, box.y0) >= -1, f"{words!r} is clipped"
        assert box.x1 <= figure.bbox.x1 + 1, f"{words!r} is clipped"
        assert box.y1 <= figure.bbox.y1 + 1, f"{words!r} is clipped"
        for other, another in boxes[number + 1 :]:
            overlap = min(box.x1, another.x1) - max(box.x0, another.x0), min(box.y1, another.y1) - max(box.y0, another.y0)
            assert min(overlap) < 1, f"{words!r} and {other!r} overlap"
