#!/bin/bash
# An init script for Databricks clusters. On each node it enables Spark's sink PrometheusServlet in
# metrics.properties. It keeps existing lines, and a second run adds nothing. SPARK_CONF_DIR names
# another folder.
set -euo pipefail

conf=${SPARK_CONF_DIR:-/databricks/spark/conf}
if [[ ! -d $conf ]]; then
    echo "init-script.sh: there is no folder $conf: set SPARK_CONF_DIR to Spark's conf folder" >&2
    exit 1
fi
file=$conf/metrics.properties

# The paths are those of Spark's metrics.properties.template.
wanted='*.sink.prometheusServlet.class=org.apache.spark.metrics.sink.PrometheusServlet
*.sink.prometheusServlet.path=/metrics/prometheus
master.sink.prometheusServlet.path=/metrics/master/prometheus
applications.sink.prometheusServlet.path=/metrics/applications/prometheus'

touch "$file"
added=""
while IFS= read -r line; do
    grep -qxF -e "$line" "$file" || added+=$line$'\n'
done <<<"$wanted"
# Without a final newline, the first added line would be appended to the last one.
if [[ -n $added && -n $(tail -c 1 "$file") ]]; then
    added=$'\n'$added
fi
printf '%s' "$added" >>"$file"
