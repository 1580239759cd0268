#!/bin/sh
# Stands in for the program: `child.sh worker FOLDER` runs the script in the folder.
. "$2/child.sh"
