# One image for every process; compose.yaml says which ones there are.
FROM python:3.11-slim

# glibc gives every thread a memory arena of its own; two are enough.
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 MALLOC_ARENA_MAX=2 DATA_DIR=/data

WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY . .

RUN useradd --system --uid 10001 fraudconsole && install -d -o fraudconsole -g fraudconsole /data
USER fraudconsole
VOLUME /data
EXPOSE 8000

# Any answer below 500 is a sign of life: ALLOWED_HOSTS need not name the inside of the container.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["python", "-c", "\
import http.client, sys; \
connection = http.client.HTTPConnection('127.0.0.1', 8000, timeout=4); \
connection.request('GET', '/healthz'); \
sys.exit(connection.getresponse().status >= 500)"]

CMD ["sh", "-c", "exec gunicorn fraudconsole.wsgi:application --bind 0.0.0.0:8000 --worker-class gthread \
     --workers 2 --threads ${WEB_THREADS:-64} --graceful-timeout 10 --keep-alive 15 --no-control-socket"]
