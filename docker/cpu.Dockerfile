# geoseg on a CPU. Build from the project's root: docker build -f docker/cpu.Dockerfile -t geoseg:cpu .
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY geoseg geoseg
COPY data_catalog data_catalog
COPY configs configs
# every extra a person may need: the user of the second stage cannot add one
RUN python3.11 -m venv /opt/geoseg \
 && /opt/geoseg/bin/python -m pip install --quiet --no-cache-dir -c constraints.txt '.[planet,export,lora]'

FROM python:3.11-slim-bookworm
# rasterio's wheel brings GDAL and PROJ along; libexpat is what slim images lack of what it links to
RUN apt-get update && apt-get install -y --no-install-recommends libexpat1 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 mapper
COPY --from=build /opt/geoseg /opt/geoseg
ENV PATH=/opt/geoseg/bin:$PATH GEOSEG_CACHE=/home/mapper/cache MPLCONFIGDIR=/tmp/matplotlib
USER mapper
WORKDIR /home/mapper
# a volume takes the owner of the folder it covers: without these it would be root's, and nothing could be written
RUN mkdir cache out
VOLUME ["/home/mapper/cache", "/home/mapper/out"]
ENTRYPOINT ["geoseg"]
CMD ["--help"]
