
location.replace(document.getElementById("go").href + location.hash);
