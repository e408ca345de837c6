# Tidemill's image, one for each target:
#   local       Java, Spark and its Kafka connector inside: starts without a network, and not as root
#   serve       for `tidemill serve`: without Java and Spark
#   databricks  for Databricks Container Services, whose clusters bring Spark
# docker build --build-arg BUILD_TARGET=serve --tag tidemill:serve .
#
# All take the code from the stage that lints and tests it: if that fails, no image is built.
# Add your own model in an image of your own: COPY its module into /models.
ARG BUILD_TARGET=local


FROM python:3.12-slim-bookworm AS without-java
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/*


FROM without-java AS python
# Java's package links its manual pages into a folder that slim images lack.
RUN mkdir -p /usr/share/man/man1 \
    && apt-get update \
    && apt-get install --yes --no-install-recommends openjdk-17-jre-headless \
    && rm -rf /var/lib/apt/lists/*


FROM python AS tested
WORKDIR /src
# The packages first: a change in the code does not install them again.
COPY requirements requirements
COPY pyproject.toml README.md LICENSE ./
COPY app/tidemill/__init__.py app/tidemill/
COPY dev/setup.sh dev/
RUN sh dev/setup.sh
COPY . .
RUN .venv/bin/tox run -e lint,unit


FROM python AS packages
COPY requirements/local.txt ./
RUN python -m venv --without-pip /opt/tidemill \
    && pip --python /opt/tidemill/bin/python install --no-cache-dir --no-deps --require-hashes -r local.txt \
    # The packages' own tests: a fifth of all files, and nothing imports them.
    && find /opt/tidemill -type d -name tests -prune -exec rm -rf {} +
# Spark's Kafka connector goes to Spark's own jars, where nothing has to be fetched at a start.
COPY app/tidemill/__init__.py app/tidemill/
COPY app/tidemill/errors app/tidemill/errors
COPY app/tidemill/spark/__init__.py app/tidemill/spark/ivy.py app/tidemill/spark/java.py app/tidemill/spark/jars.py app/tidemill/spark/
RUN export PATH=/opt/tidemill/bin:$PATH PYTHONPATH=app XDG_CACHE_HOME=/cache \
    && python -c 'from tidemill.spark.jars import connector_jars; connector_jars(print)' \
    && mv /cache/tidemill/jars/*/*.jar "$(python -c 'from tidemill.spark.java import spark_home; print(spark_home())')/jars"
# Every Python of this environment imports the package from /app, and your own models from /models.
RUN printf '/app\n/models\n' >"$(/opt/tidemill/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/tidemill.pth" \
    && printf '#!/opt/tidemill/bin/python\nfrom tidemill.cli import main\n\nmain()\n' >/opt/tidemill/bin/tidemill \
    && chmod +x /opt/tidemill/bin/tidemill


FROM python AS local
RUN useradd --uid 10001 --create-home tidemill \
    && install --directory --owner tidemill /home/tidemill/.tidemill
COPY --from=packages /opt/tidemill /opt/tidemill
COPY --from=tested /src/app /app
COPY config.yaml models.yaml /home/tidemill/
ENV PATH=/opt/tidemill/bin:$PATH
# By number, so that Kubernetes can tell that it is not root.
USER 10001
# config.yaml is found here, and .tidemill holds the checkpoint: mount a volume there.
WORKDIR /home/tidemill
# tini hands signals on to the job, and reaps the workers' children.
ENTRYPOINT ["tini", "--", "tidemill"]
CMD ["stream"]


FROM without-java AS serve-packages
COPY requirements/serve.txt ./
RUN python -m venv --without-pip /opt/tidemill \
    && pip --python /opt/tidemill/bin/python install --no-cache-dir --no-deps --require-hashes -r serve.txt \
    && find /opt/tidemill -type d -name tests -prune -exec rm -rf {} +
RUN printf '/app\n/models\n' >"$(/opt/tidemill/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/tidemill.pth" \
    && printf '#!/opt/tidemill/bin/python\nfrom tidemill.cli import main\n\nmain()\n' >/opt/tidemill/bin/tidemill \
    && chmod +x /opt/tidemill/bin/tidemill


FROM without-java AS serve
RUN useradd --uid 10001 --create-home tidemill
COPY --from=serve-packages /opt/tidemill /opt/tidemill
COPY --from=tested /src/app /app
COPY config.yaml models.yaml /home/tidemill/
ENV PATH=/opt/tidemill/bin:$PATH
USER 10001
WORKDIR /home/tidemill
EXPOSE 8080 8081
ENTRYPOINT ["tini", "--", "tidemill"]
CMD ["serve"]


# What Databricks documents for images that are not built on its own: Ubuntu with these packages, a
# JDK on the path, the locked user `libraries`, and a virtualenv of the cluster's Python at
# /databricks/python3. As in Databricks' own images its processes start as root, so no user is set.
# Java 21, Python 3.12: Databricks Runtime 19, which is Spark 4.2.
FROM ubuntu:24.04 AS databricks-system
ENV LANG=C.UTF-8 LC_ALL=C.UTF-8
RUN mkdir -p /usr/share/man/man1 \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        acl bash ca-certificates coreutils iproute2 openjdk-21-jdk-headless procps python3 sudo virtualenv \
    && rm -rf /var/lib/apt/lists/* \
    && useradd libraries \
    && usermod --lock libraries


FROM databricks-system AS databricks-packages
COPY requirements/databricks.txt ./
RUN virtualenv --system-site-packages --no-download /databricks/python3 \
    && /databricks/python3/bin/pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes -r databricks.txt \
    && find /databricks/python3 -type d -name tests -prune -exec rm -rf {} +
RUN printf '/app\n/models\n' >"$(/databricks/python3/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/tidemill.pth"


FROM databricks-system AS databricks
COPY --from=databricks-packages /databricks/python3 /databricks/python3
COPY --from=tested /src/app /app
COPY config.yaml models.yaml /
# Where Spark looks for Python.
ENV PYSPARK_PYTHON=/databricks/python3/bin/python3


FROM ${BUILD_TARGET}
