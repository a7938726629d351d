const now = document.querySelector('#now')
now.textContent = new Date().toLocaleTimeString()
