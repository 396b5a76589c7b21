#!/bin/sh
# Put a built or unpacked application into the menu of this user's desktop; nothing needs root.
#
#     packaging/install_linux.sh [FOLDER]          by default dist/mri-fcl
#     mri-fcl/_internal/install_linux.sh           of an unpacked application
#     packaging/install_linux.sh --remove
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
data=${XDG_DATA_HOME:-$HOME/.local/share}
menu=$data/applications/mri-fcl.desktop
icon=$data/icons/hicolor/scalable/apps/mri-fcl.svg
link=$HOME/.local/bin/mri-fcl

if [ "${1:-}" = --remove ]; then
    rm -f "$menu" "$icon" "$link"
    echo "MRI-FCL is out of the menu. Its folder, cohorts and runs are where they were."
    exit 0
fi

usual=$here/../dist/mri-fcl
[ -x "$here/../mri-fcl" ] && usual=$here/..
wanted=${1:-$usual}
if [ ! -x "$wanted/mri-fcl" ]; then
    echo "There is no program in '$wanted'. Build it first, or name its folder." >&2
    exit 1
fi
folder=$(CDPATH= cd -- "$wanted" && pwd)
case $folder in
*[\"\`\$\\%]*)
    echo "A menu entry cannot name '$folder'. Move it to a path without \" \` \$ \\ and %." >&2
    exit 1
    ;;
esac
mkdir -p "$(dirname "$menu")" "$(dirname "$icon")" "$(dirname "$link")"
ln -sf "$folder/mri-fcl" "$link"
cp "$folder/_internal/resources/icons/app.svg" "$icon"
# Quoted for blanks; & and | mean something to sed.
program=$(printf '%s' "$folder/mri-fcl" | sed 's/[&|]/\\&/g')
sed -e "s|^Exec=mri-fcl|Exec=\"$program\"|" -e '/^TryExec=/d' "$here/mri-fcl.desktop" > "$menu"
echo "MRI-FCL is in the menu, and '$link' starts it from a terminal."
