"""Peak memory of a model over batch, context and KV-cache type, beside other kinds of attention."""

import math
from collections.abc import Sequence
from typing import get_args

from app.gui.parts import words
from app.gui.parts.controls import Choice, label
from app.gui.parts.theme import Theme
from app.gui.parts.words import tr
from app.gui.speed.sheet import Column, Row
from app.gui.speed.view import SpeedView
from app.session.speed_report import SpeedModelPoint, SpeedReport, short_name
from runtime.plan import KvCacheType
from runtime.planning.memory import MemoryCell, memory_table
from runtime.shape import kv_cache_bytes

BATCHES = (1, 2, 4, 8, 16)
CONTEXTS = (1024, 2048, 4096, 8192, 16384, 32768)


class MemoryView(SpeedView):
    """The table is of the chosen model; the plot sets its cache beside the other kinds."""

    name = "memory"

    def __init__(self, theme: Theme) -> None:
        self.axes = (tr("context in tokens"), tr("KV cache in GB"))
        super().__init__(tr("Memory by batch and context"), theme)
        self.model = Choice([])
        self.model.setAccessibleName(tr("Model"))
        self.model.setMinimumContentsLength(28)
        self.kv = Choice([(kind, kind) for kind in get_args(KvCacheType)])
        self.kv.setAccessibleName(tr("KV cache"))
        for caption, box in ((tr("Model"), self.model), (tr("KV cache"), self.kv)):
            name = label(caption, "muted")
            name.setBuddy(box)
            self.controls.addWidget(name)
            self.controls.addWidget(box)
            box.activated.connect(self._changed)
        self.controls.addStretch(1)

    def columns(self) -> Sequence[Column]:
        return (
            Column("batch", tr("Batch")),
            *(
                Column(f"bytes_at_{n}", tr("{0} tokens", words.count(n)), words.size)
                for n in CONTEXTS
            ),
            Column("mapped_bytes", tr("Mapped file"), words.size),
        )

    def rows(self, report: SpeedReport) -> Sequence[Row]:
        self._offer(report)
        point = self._chosen(report)
        if point is None:
            return ()
        cells = self.cells(point)
        totals = {(cell.batch, cell.n_ctx): cell.total for cell in cells}
        mapped = {cell.batch: cell.mapped for cell in cells}
        return [
            (b, *(totals.get((b, n)) for n in CONTEXTS), mapped[b]) for b in BATCHES if b in mapped
        ]

    def cells(self, point: SpeedModelPoint) -> tuple[MemoryCell, ...]:
        """The table of one model, each cell what a plan would need."""
        kinds = (self.kv.currentData(),)
        return memory_table(point.model, BATCHES, CONTEXTS, kinds)

    def describe(self, report: SpeedReport) -> str:
        return tr(
            "Table: peak memory that must be free; the system shows more, because it also"
            " counts the mapped parts of the file. Plot: KV cache of one sequence."
        )

    def draw(self, report: SpeedReport) -> None:
        import pyqtgraph

        self.plot.addLegend(offset=(8, 4), labelTextColor=self.theme.text)
        kind, highest = self.kv.currentData(), 0.0
        compared = self._compared(report)
        for number, point in enumerate(compared):
            shape = point.model.shape
            contexts = [n for n in CONTEXTS if n <= shape.context_length]
            sizes = [kv_cache_bytes(shape, n, kind, kind) / words.GB for n in contexts]
            colour = self.colour(number)
            self.plot.plot(
                [math.log2(n) for n in contexts], sizes,
                pen=pyqtgraph.mkPen(colour, width=2), symbol="o", symbolSize=5,
                symbolBrush=colour, symbolPen=None,
                name=f"{short_name(point)} ({shape.attention})",
            )  # fmt: skip
            highest = max(highest, *sizes)
        self.plot.setYRange(0, highest * 1.1)
        self.plot.setXRange(math.log2(CONTEXTS[0]) - 0.2, math.log2(CONTEXTS[-1]) + 0.4)
        self.plot.getAxis("bottom").setTicks([[(math.log2(n), words.count(n)) for n in CONTEXTS]])

    def _compared(self, report: SpeedReport) -> list[SpeedModelPoint]:
        """The chosen model, and of each other kind of attention the smallest model."""
        chosen = self._chosen(report)
        found = [chosen] if chosen else []
        for point in sorted(report.models, key=lambda each: each.working_set):
            kinds = [each.model.shape.attention for each in found]
            if point.model.shape.attention not in kinds:
                found.append(point)
        return found

    def _offer(self, report: SpeedReport) -> None:
        names = [point.name for point in report.models]
        if names == [self.model.itemData(i) for i in range(self.model.count())]:
            return
        before = self.model.currentData()
        self.model.clear()
        for point in report.models:
            self.model.addItem(f"{point.name} ({point.model.shape.attention})", point.name)
        self.model.setCurrentIndex(max(self.model.findData(before), 0))

    def _chosen(self, report: SpeedReport) -> SpeedModelPoint | None:
        name = self.model.currentData()
        return next((point for point in report.models if point.name == name), None)

    def _changed(self) -> None:
        if self.report is not None:
            self.show_report(self.report)
