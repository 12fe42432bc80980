"""The list, a new entry, and Django's own log-in."""

from datetime import timedelta
from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView
from django.core.paginator import Paginator
from django.db.models import Count, Q, Sum
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils import timezone

from benchmarks.peers.django_site.models import Entry


class EntryForm(ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Entry
        fields = ("key", "kind", "value")


@login_required
def index(request: HttpRequest) -> HttpResponse:
    mine = Entry.objects.filter(user=request.user)
    words = request.GET.get("q", "")
    found = mine.filter(Q(key__icontains=words) | Q(value__icontains=words))
    page = Paginator(found if words else mine, 20).get_page(request.GET.get("page"))
    context: dict[str, Any] = {"page": page, "q": words}
    week = timezone.now() - timedelta(days=7)
    context["figures"] = mine.aggregate(
        entries=Count("id"),
        size=Sum("size"),
        changed_this_week=Count("id", filter=Q(updated_at__gte=week)),
    )
    return render(request, "entries.html", context)


@login_required
def new(request: HttpRequest) -> HttpResponse:
    form = EntryForm(request.POST or None)
    if form.is_valid():
        entry = form.save(commit=False)
        entry.user = request.user
        entry.size = len(entry.key.encode()) + len(entry.value.encode())
        entry.save()
        return redirect("index")
    return render(request, "form.html", {"form": form})


urlpatterns = [
    path("entries", index, name="index"),
    path("entries/new", new, name="new"),
    path("entries/<int:entry_id>", index, name="show"),
    path("login", LoginView.as_view(template_name="form.html"), name="login"),
]
