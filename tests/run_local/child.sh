#!/bin/sh
# Stands in for the program: `child.sh worker JOBFILE` runs the script that lies beside the job file.
. "${2%.json}.sh"
