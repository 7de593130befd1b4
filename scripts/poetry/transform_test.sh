#!/bin/sh
# Have transformed_poetry.lua on a port of this machine transform a poem: transform_test.sh PORT
printf '16:cummingsify.POEM,' | nc -N 127.0.0.1 "$1"
