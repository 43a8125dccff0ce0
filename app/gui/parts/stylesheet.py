"""The one stylesheet, with the theme's tokens as $names. Data only; `app.gui.parts.theme` fills it
in."""

STYLESHEET = """
QWidget { color: $text; font-size: $body; }
QMainWindow, QDialog { background: $window; }
QToolTip { background: $raised; color: $text; border: 1px solid $border; padding: 4px 6px; }

#rail { background: $rail; border: none; border-right: 1px solid $border; }
#sidebar { background: $window; border: none; border-right: 1px solid $border; }
#page { background: $surface; }
#inspector { background: $window; border: none; border-left: 1px solid $border; }
#statusBar { background: $rail; border: none; border-top: 1px solid $border; }
#statusBar QLabel, #statusBar QPushButton { font-size: $small; color: $muted; }
#pageHeader { background: $surface; border: none; border-bottom: 1px solid $border; }

QLabel { background: transparent; }
QLabel[kind="title"] { font-size: $title; font-weight: 600; }
QLabel[kind="heading"] { font-size: $large; font-weight: 600; }
QLabel[kind="strong"] { font-weight: 600; }
QLabel[kind="muted"] { color: $muted; }
QLabel[kind="small"] { color: $muted; font-size: $small; }
QLabel[kind="section"] { color: $muted; font-size: $small; font-weight: 600; }
QLabel[kind="value"] { font-weight: 600; }
QLabel[kind="good"] { color: $good; font-size: $small; font-weight: 600; }
QLabel[kind="warning"] { color: $warning; font-size: $small; font-weight: 600; }
QLabel[kind="bad"] { color: $bad; font-size: $small; font-weight: 600; }

QPushButton, QToolButton {
  background: $raised; border: 1px solid $border; border-radius: $radius; padding: 5px 12px;
}
QPushButton:hover, QToolButton:hover { background: $hover; }
QPushButton:pressed, QToolButton:pressed { background: $selected; }
QPushButton:disabled, QToolButton:disabled { color: $strong_border; }
QPushButton:focus, QToolButton:focus { border: 2px solid $focus; padding: 4px 11px; }
QPushButton[kind="primary"] {
  background: $accent; color: $on_accent; border: 1px solid $accent; font-weight: 600;
}
QPushButton[kind="primary"]:focus { border: 2px solid $text; }
QPushButton[kind="primary"]:disabled {
  background: $selected; color: $muted; border-color: $border;
}
QPushButton[kind="danger"] { color: $bad; }
QPushButton[kind="fold"] {
  background: transparent; border: 1px solid transparent; color: $muted; font-size: $small;
  font-weight: 600; padding: 2px 5px; text-align: left;
}
QPushButton[kind="fold"]:focus { border: 2px solid $focus; padding: 1px 4px; }
QPushButton[kind="quiet"], QToolButton[kind="quiet"] {
  background: transparent; border: 1px solid transparent; padding: 4px 8px;
}
QPushButton[kind="quiet"]:hover, QToolButton[kind="quiet"]:hover { background: $hover; }
QPushButton[kind="quiet"]:focus, QToolButton[kind="quiet"]:focus {
  border: 2px solid $focus; padding: 3px 7px;
}
QPushButton[kind="quiet"]:checked, QToolButton[kind="quiet"]:checked { background: $selected; }
QPushButton[kind="icon"], QToolButton[kind="icon"] {
  background: transparent; border: 1px solid transparent; padding: 4px;
}
QPushButton[kind="icon"]:hover, QToolButton[kind="icon"]:hover { background: $hover; }
QPushButton[kind="icon"]:focus, QToolButton[kind="icon"]:focus {
  border: 2px solid $focus; padding: 3px;
}
QToolButton[kind="send"] {
  background: $accent; border: 1px solid $accent; border-radius: 15px; padding: 5px;
}
QToolButton[kind="send"]:hover { background: $text; }
QToolButton[kind="send"]:disabled { background: $selected; border-color: $border; }
QToolButton[kind="send"]:focus { border: 2px solid $text; padding: 4px; }
QPushButton[kind="link"] {
  background: transparent; border: 1px solid transparent; color: $accent; padding: 2px 4px;
  text-align: left;
}
QPushButton[kind="link"]:hover { text-decoration: underline; }
QPushButton[kind="link"]:focus { border: 2px solid $focus; padding: 1px 3px; }
QPushButton[kind="status"] {
  background: transparent; border: 1px solid transparent; padding: 1px 6px;
}
QPushButton[kind="status"]:hover { background: $hover; }
QPushButton[kind="status"]:focus { border: 2px solid $focus; padding: 0px 5px; }
QPushButton[kind="suggestion"] {
  background: $raised; border: 1px solid $border; padding: 10px 14px; text-align: left;
}
QPushButton[kind="suggestion"]:hover { border-color: $accent; background: $accent_soft; }
QPushButton[kind="suggestion"]:focus { border: 2px solid $focus; padding: 9px 13px; }
QPushButton::menu-indicator, QToolButton::menu-indicator { image: none; width: 0; }

#rail QToolButton {
  background: transparent; border: 1px solid transparent; border-radius: $radius;
  color: $muted; font-size: $small; padding: 6px 2px;
}
#rail QToolButton:hover { background: $hover; color: $text; }
#rail QToolButton:checked { background: $selected; color: $text; font-weight: 600; }
#rail QToolButton:focus { border: 2px solid $focus; padding: 5px 1px; }

QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox {
  background: $raised; border: 1px solid $border; border-radius: $radius; padding: 5px 8px;
  selection-background-color: $accent; selection-color: $on_accent;
}
QLineEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus, QComboBox:focus {
  border: 2px solid $focus; padding: 4px 7px;
}
QAbstractSpinBox QLineEdit { background: transparent; border: none; padding: 0; }
QComboBox::drop-down { border: none; width: 20px; }
QComboBox QAbstractItemView {
  background: $raised; border: 1px solid $border; outline: none;
  selection-background-color: $selected; selection-color: $text;
}
QSpinBox::up-button, QSpinBox::down-button, QDoubleSpinBox::up-button,
QDoubleSpinBox::down-button { width: 0; border: none; }
QCheckBox:focus, QRadioButton:focus { color: $accent; text-decoration: underline; }

QListView, QTreeView, QTableView {
  background: transparent; border: none; outline: none; alternate-background-color: $window;
  gridline-color: $border;
}
QListView::item { border-radius: $radius; padding: 0; }
QListView:focus { border: none; }
QTableView { background: $surface; border: 1px solid $border; border-radius: $radius; }
QTableView::item { padding: 4px 8px; }
QTableView::item:selected { background: $selected; color: $text; }
QTableView:focus { border: 2px solid $focus; }
QHeaderView::section {
  background: $window; color: $muted; border: none; border-bottom: 1px solid $border;
  padding: 5px 8px; font-size: $small; font-weight: 600;
}

QTextEdit, QPlainTextEdit, QTextBrowser {
  background: transparent; border: none;
  selection-background-color: $accent; selection-color: $on_accent;
}
QPlainTextEdit[kind="field"] {
  background: $raised; border: 1px solid $border; border-radius: $radius; padding: 4px;
}
QPlainTextEdit[kind="field"]:focus { border: 2px solid $focus; padding: 3px; }
QScrollArea, QScrollArea > QWidget > QWidget { background: transparent; border: none; }
#ground { background: $surface; }

#composer { background: $raised; border: 1px solid $strong_border; border-radius: 10px; }
#composer[kind="focused"] { border: 2px solid $focus; }
#userBubble { background: $accent_soft; border-radius: 10px; }
#card { background: $raised; border: 1px solid $border; border-radius: 8px; }
#banner { background: $accent_soft; border: 1px solid $border; border-radius: 8px; }
#problem { background: $bad_soft; border: 1px solid $bad; border-radius: 8px; }
#thinking { background: $window; border: 1px solid $border; border-radius: 8px; }
#chip { background: $window; border: 1px solid $border; border-radius: 10px; }
#toast { background: $text; border-radius: 8px; }
#toast QLabel { color: $window; }
#toast QPushButton { color: $window; background: transparent; border: 1px solid $muted; }
#toast QPushButton:focus { border: 2px solid $window; }
#palette { background: $raised; border: 1px solid $strong_border; border-radius: 10px; }
QListWidget { background: transparent; }
QListWidget::item { padding: 6px 8px; border-radius: $radius; }
QListWidget::item:selected { background: $selected; color: $text; }
#tour { background: $raised; border: 1px solid $strong_border; border-radius: 10px; }
#tourMark { background: transparent; border: 2px solid $accent; border-radius: 8px; }
#column { background: $surface; border: 1px solid $border; border-radius: 8px; }
#separator { background: $border; border: none; }

QProgressBar {
  background: $selected; border: none; border-radius: 3px; min-height: 6px; max-height: 6px;
}
QProgressBar::chunk { background: $accent; border-radius: 3px; }

QScrollBar:vertical { background: transparent; width: 12px; margin: 0; }
QScrollBar:horizontal { background: transparent; height: 12px; margin: 0; }
QScrollBar::handle { background: $strong_border; border-radius: 3px; margin: 3px; }
QScrollBar::handle:vertical { min-height: 32px; }
QScrollBar::handle:horizontal { min-width: 32px; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; border: none; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }

QMenuBar { background: $rail; border-bottom: 1px solid $border; }
QMenuBar::item { padding: 4px 10px; background: transparent; }
QMenuBar::item:selected { background: $selected; border-radius: 4px; }
QMenu { background: $raised; border: 1px solid $border; padding: 4px; }
QMenu::item { padding: 5px 24px 5px 20px; border-radius: 4px; }
QMenu::item:selected { background: $selected; }
QMenu::item:disabled { color: $strong_border; }
QMenu::separator { height: 1px; background: $border; margin: 4px 8px; }

QTabBar::tab {
  background: transparent; color: $muted; padding: 6px 12px; border: none;
  border-bottom: 2px solid transparent;
}
QTabBar::tab:selected { color: $text; border-bottom: 2px solid $accent; font-weight: 600; }
QTabBar::tab:focus { text-decoration: underline; }
QTabWidget::pane { border: none; }
QSplitter::handle { background: $border; }
QSplitter::handle:horizontal { width: 1px; }
"""
