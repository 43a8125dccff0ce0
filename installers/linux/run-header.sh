#!/bin/sh
# Stillroom: unpacks itself into a folder of the user. Everything after the marker line is a .tar.xz.
#   sh stillroom.run [FOLDER]       install (default: ~/.local/opt/stillroom) or upgrade
#   sh stillroom.run --remove [FOLDER]
set -eu
remove=
[ "${1:-}" = --remove ] && { remove=1; shift; }
folder=${1:-$HOME/.local/opt/stillroom}
case $folder in /*) ;; *) folder=$PWD/$folder ;; esac
case $folder in
  *[\"\`\$\\\&\|]*) echo "A desktop entry cannot name this folder: $folder. Choose another." >&2; exit 1 ;;
esac
share=${XDG_DATA_HOME:-$HOME/.local/share}
link=$HOME/.local/bin/stillroom
forget() {
  rm -rf "$folder/_internal" "$folder/stillroom" "$folder/stillroom-gui"
  rm -f "$share/applications/stillroom.desktop" "$share/mime/packages/stillroom-mime.xml" \
    "$share/icons/hicolor/scalable/apps/stillroom.svg"
  [ "$(readlink "$link" 2>/dev/null)" = "$folder/stillroom" ] && rm -f "$link"
  rmdir "$folder" 2>/dev/null || true
}
if [ -n "$remove" ]; then
  forget
  echo "Stillroom is removed. Chats and models are untouched."
  exit 0
fi
command -v xz >/dev/null || { echo "Stillroom's installer needs xz (package xz-utils)." >&2; exit 1; }
line=$(($(grep -an '^exit_before_the_archive$' "$0" | head -n 1 | cut -d: -f1) + 1))
if command -v sha256sum >/dev/null; then
  sum=$(tail -n "+$line" "$0" | sha256sum | cut -d' ' -f1)
  [ "$sum" = "@SHA256@" ] || { echo "This file is damaged: download it again." >&2; exit 1; }
fi
[ -e "$folder/stillroom" ] && forget
mkdir -p "$folder" "$HOME/.local/bin" "$share/applications" "$share/mime/packages" \
  "$share/icons/hicolor/scalable/apps"
tail -n "+$line" "$0" | tar -xJf - -C "$folder" --strip-components=1
ln -sf "$folder/stillroom" "$link"
desktop=$folder/_internal/desktop
sed "s|^Exec=stillroom|Exec=\"$folder/stillroom\"|" "$desktop/stillroom.desktop" \
  >"$share/applications/stillroom.desktop"
cp "$desktop/stillroom-mime.xml" "$share/mime/packages/"
cp "$desktop/stillroom.svg" "$share/icons/hicolor/scalable/apps/"
command -v update-mime-database >/dev/null && update-mime-database "$share/mime" || true
command -v update-desktop-database >/dev/null && update-desktop-database "$share/applications" || true
echo "Stillroom is installed: $link"
exit 0
exit_before_the_archive
