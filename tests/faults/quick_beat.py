"""The console's beat, but that its sweep of the sync comes round sooner: a run of ordinary size is to be short."""

from fraudconsole.beat import app

SWEEP_SECONDS = 4.0

app.conf.beat_schedule = {
    name: entry | ({"schedule": SWEEP_SECONDS} if name == "sweep sync targets" else {})
    for name, entry in app.conf.beat_schedule.items()
}
